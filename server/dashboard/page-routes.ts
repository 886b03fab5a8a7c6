import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

const folder = join(import.meta.dirname, 'page')
const plotFolder = dirname(createRequire(import.meta.url).resolve('uplot'))

const script = 'text/javascript; charset=utf-8'
const style = 'text/css; charset=utf-8'

const scripts = [
  'main.js',
  'connection.js',
  'actions.js',
  'elements.js',
  'format.js',
  'summary.js',
  'ring.js',
  'members.js',
  'plots.js',
  'repair.js',
  'health.js',
  'inspector.js',
  'palette.js'
]

/** All that a browser needs: it is told to take nothing from elsewhere and to run nothing that is written inline. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

interface PageFile {
  readonly path: string
  readonly type: string
  readonly bytes: Buffer
  readonly etag: string
}

/** `GET /`: the dashboard, and the files that it is made of. They are read once, and served as they are. */
export function registerPageRoutes(app: FastifyInstance): void {
  for (const file of pageFiles()) {
    app.get(file.path, { schema: { hide: true } }, (request, reply) =>
      sendFile(file, request, reply)
    )
  }
}

function pageFiles(): readonly PageFile[] {
  return [
    load('/', join(folder, 'index.html'), 'text/html; charset=utf-8'),
    load('/dashboard/style.css', join(folder, 'style.css'), style),
    load('/dashboard/icon.svg', join(folder, 'icon.svg'), 'image/svg+xml'),
    ...scripts.map((name) => load(`/dashboard/${name}`, join(folder, name), script)),
    load('/dashboard/uplot.js', join(plotFolder, 'uPlot.esm.js'), script),
    load('/dashboard/uplot.css', join(plotFolder, 'uPlot.min.css'), style)
  ]
}

function load(path: string, source: string, type: string): PageFile {
  const bytes = readFileSync(source)
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`
  return { path, type, bytes, etag }
}

function sendFile(
  { type, bytes, etag }: PageFile,
  request: FastifyRequest,
  reply: FastifyReply
): FastifyReply {
  reply.headers({
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
    etag
  })
  if (request.headers['if-none-match'] === etag) return reply.code(304).send()
  return reply.type(type).send(bytes)
}
