import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AnnealError, errorStatus } from '../../core/errors.ts'
import type { Version } from '../../storage/version.ts'
import { etagOf, type KeyView } from '../data-service.ts'
import { prefers } from './accept.ts'
import type { Admission } from './admission.ts'
import { problemText, problemType } from './problem.ts'
import { type DataRoutes, type FlatHeaders, sendSmall, smallBodyBytesMax } from './small-answer.ts'

export const defaultContentType = 'application/octet-stream'

const settleHint =
  'These writes had not seen each other, so none replaced another. To settle them, write the value that is to stay once more with the Causal-Context of this answer; or give the bucket {"conflict":"lww"}, and only the latest write is kept.'

export interface Wanted {
  /** The ETag of one sibling. */
  readonly sibling?: string | undefined
  readonly ifNoneMatch?: string | undefined
  /** The node that coordinated the write that this is the answer to; this one unless given. */
  readonly coordinator?: string | undefined
  /** How many of those that stored the write stood in for a replica. */
  readonly hinted?: number | undefined
}

/** Answers with what a key holds: one value, siblings, or why there is none. */
export function answerKey(
  request: FastifyRequest,
  reply: FastifyReply,
  view: KeyView,
  { sibling, ifNoneMatch, coordinator, hinted = 0 }: Wanted,
  routes: DataRoutes
): FastifyReply {
  const { admission, node } = routes
  const answering = coordinator ?? node.id
  if (view.state !== 'found') {
    return answerNothing(reply, view, { coordinator: answering, hinted }, routes)
  }
  const isPlain = sibling === undefined && ifNoneMatch === undefined && hinted === 0
  if (isPlain && hasOneSmallValue(view)) {
    return answerSmallValue(reply, view, answering, routes)
  }
  if (coordinator !== undefined) reply.header('X-Coordinator', coordinator)
  if (hinted > 0) reply.header('X-Hinted', hinted)
  if (view.context !== null) reply.header('Causal-Context', view.context)
  reply.header('X-Replicas', `${view.answered}/${view.asked}`)
  const chosen = sibling === undefined ? null : siblingOf(view, sibling)
  const [first] = view.siblings
  const single = chosen ?? (view.siblings.length === 1 ? first : undefined)
  const etag = `"${single === undefined ? view.etag : etagOf(single)}"`
  reply.header('ETag', etag)
  if (matches(ifNoneMatch, etag)) return reply.code(304).send()
  if (single !== undefined) return answerValue(reply, single, admission)
  return answerSiblings(request, reply, view.siblings, admission)
}

/** Asking for a key that is not there is no error of anybody: it costs no more than to read a value. */
function answerNothing(
  reply: FastifyReply,
  view: KeyView,
  { coordinator, hinted }: { readonly coordinator: string; readonly hinted: number },
  routes: DataRoutes
): FastifyReply {
  const { state, context, answered, asked } = view
  const headers: FlatHeaders = [
    'x-coordinator',
    coordinator,
    'x-replicas',
    `${answered}/${asked}`,
    'content-type',
    `${problemType}; charset=utf-8`
  ]
  if (context !== null) headers.push('causal-context', context)
  if (hinted > 0) headers.push('x-hinted', String(hinted))
  if (state === 'deleted') headers.push('x-deleted', 'true')
  routes.node.metrics.countProblem('not_found')
  const why = state === 'none' ? 'the key has no value' : 'the key was deleted, or has expired'
  const problem = problemText('not_found', why)
  return sendSmall(reply, routes, errorStatus.not_found, headers, Buffer.from(problem))
}

function siblingOf(view: KeyView, wanted: string): Version {
  const found = view.siblings.find((version) => etagOf(version) === wanted.replaceAll('"', ''))
  if (found !== undefined) return found
  const etags = view.siblings.map(etagOf).join(', ')
  throw new AnnealError('not_found', `the key has no sibling with this ETag; it has ${etags}`)
}

function answerValue(reply: FastifyReply, version: Version, admission: Admission): FastifyReply {
  const value = bytesOf(version)
  admission.holdAnswer(reply, value.length)
  for (const [name, text] of version.meta) reply.header(`x-meta-${name}`, text)
  reply
    .header('Last-Modified', httpDate(version.timeMs))
    .header('Content-Type', version.contentType)
    .header('Content-Length', value.length)
  return reply.send(value)
}

function hasOneSmallValue({ siblings }: KeyView): boolean {
  return siblings.length === 1 && (siblings[0]?.size ?? 0) <= smallBodyBytesMax
}

/** What nearly every read is answered with; `answerValue` says the same in the general case. */
function answerSmallValue(
  reply: FastifyReply,
  view: KeyView,
  coordinator: string,
  routes: DataRoutes
): FastifyReply {
  const { siblings, context, etag, answered, asked } = view
  const [version] = siblings
  if (version === undefined) throw new AnnealError('internal', 'a value went missing')
  const headers: FlatHeaders = [
    'x-coordinator',
    coordinator,
    'x-replicas',
    `${answered}/${asked}`,
    'etag',
    `"${etag}"`,
    'last-modified',
    httpDate(version.timeMs),
    'content-type',
    version.contentType
  ]
  if (context !== null) headers.push('causal-context', context)
  for (const [name, text] of version.meta) headers.push(`x-meta-${name}`, text)
  return sendSmall(reply, routes, 200, headers, bytesOf(version))
}

function answerSiblings(
  request: FastifyRequest,
  reply: FastifyReply,
  siblings: readonly Version[],
  admission: Admission
): FastifyReply {
  const latestMs = Math.max(...siblings.map(({ timeMs }) => timeMs))
  reply.code(300).header('Last-Modified', httpDate(latestMs)).header('Vary', 'Accept')
  const multipart = prefers(request.headers.accept, 'multipart/mixed', 'application/json')
  const body = multipart ? multipartBody(reply, siblings) : jsonBody(reply, siblings)
  admission.holdAnswer(reply, body.length)
  return reply.send(body)
}

function jsonBody(reply: FastifyReply, siblings: readonly Version[]): Buffer {
  reply.header('Content-Type', 'application/json; charset=utf-8')
  const described = siblings.map(describeSibling)
  return Buffer.from(JSON.stringify({ detail: settleHint, siblings: described }))
}

/** A value as JSON has it: bytes in base64. */
export function describeSibling(version: Version) {
  return {
    value: bytesOf(version).toString('base64'),
    contentType: version.contentType,
    lastModified: new Date(version.timeMs).toISOString(),
    meta: Object.fromEntries(version.meta),
    etag: etagOf(version)
  }
}

function multipartBody(reply: FastifyReply, siblings: readonly Version[]): Buffer {
  const boundary = randomUUID()
  reply.header('Content-Type', `multipart/mixed; boundary=${boundary}`)
  const parts = siblings.flatMap((version) => {
    const meta = version.meta.map(([name, text]) => `X-Meta-${name}: ${text}\r\n`).join('')
    const head =
      `--${boundary}\r\nContent-Type: ${version.contentType}\r\n` +
      `ETag: "${etagOf(version)}"\r\nLast-Modified: ${httpDate(version.timeMs)}\r\n` +
      `Content-Length: ${version.size}\r\n${meta}\r\n`
    return [Buffer.from(head, 'latin1'), bytesOf(version), Buffer.from('\r\n')]
  })
  // What stands before the first part is for people: who reads the parts passes over it.
  const preamble = Buffer.from(`${settleHint}\r\n`)
  return Buffer.concat([preamble, ...parts, Buffer.from(`--${boundary}--\r\n`)])
}

function bytesOf({ value }: Version): Buffer {
  if (value === null) throw new AnnealError('internal', 'a value was not read')
  return Buffer.from(value.buffer, value.byteOffset, value.length)
}

/** Whether an If-Match or If-None-Match names this ETag: weak ones and ones without quotes compare by their text. */
export function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  const text = etag.replaceAll('"', '')
  return header
    .split(',')
    .some((candidate) => candidate.trim().replace(/^W\//, '').replaceAll('"', '') === text)
}

let lastSecond = Number.NaN
let lastDate = ''

// Answers within one second share their date.
function httpDate(timeMs: number): string {
  const second = Math.floor(timeMs / 1000)
  if (second !== lastSecond) {
    lastSecond = second
    lastDate = new Date(timeMs).toUTCString()
  }
  return lastDate
}
