import { randomUUID } from 'node:crypto'
import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AnnealError } from '../../core/errors.ts'
import type { Version } from '../../storage/version.ts'
import { etagOf, type KeyView } from '../data-service.ts'
import type { Admission } from './admission.ts'

export const defaultContentType = 'application/octet-stream'

const settleHint =
  'These writes had not seen each other, so none replaced another. To settle them, write the value that is to stay once more with the Causal-Context of this answer; or give the bucket {"conflict":"lww"}, and only the latest write is kept.'

export interface Wanted {
  /** The ETag of one sibling. */
  readonly sibling?: string | undefined
  readonly ifNoneMatch?: string | undefined
}

/** Answers with what a key holds: one value, siblings, or why there is none. */
export function answerKey(
  request: FastifyRequest,
  reply: FastifyReply,
  view: KeyView,
  { sibling, ifNoneMatch }: Wanted,
  admission: Admission
): FastifyReply {
  if (view.context !== null) reply.header('Causal-Context', view.context)
  reply.header('X-Replicas', `${view.answered}/${view.asked}`)
  if (view.state !== 'found') throw notFound(view, reply)
  const chosen = sibling === undefined ? null : siblingOf(view, sibling)
  const [first] = view.siblings
  const single = chosen ?? (view.siblings.length === 1 ? first : undefined)
  const etag = `"${single === undefined ? view.etag : etagOf(single)}"`
  reply.header('ETag', etag)
  if (matches(ifNoneMatch, etag)) return reply.code(304).send()
  if (single !== undefined) return answerValue(reply, single, admission)
  return answerSiblings(request, reply, view.siblings, admission)
}

function notFound({ state }: KeyView, reply: FastifyReply): AnnealError {
  if (state === 'none') return new AnnealError('not_found', 'the key has no value')
  reply.header('X-Deleted', 'true')
  return new AnnealError('not_found', 'the key was deleted, or has expired')
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
  if (value.length > joinedBytesMax) return reply.send(value)
  // Head and body in one string are one write to the socket; a buffer behind a head takes a writev, which costs as
  // much as all the rest of a small read. In latin1 each character is one byte of the value.
  reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders)
  reply.hijack()
  reply.raw.end(value.toString('latin1'), 'latin1')
  return reply
}

const joinedBytesMax = 8 * 1024

function answerSiblings(
  request: FastifyRequest,
  reply: FastifyReply,
  siblings: readonly Version[],
  admission: Admission
): FastifyReply {
  const latestMs = Math.max(...siblings.map(({ timeMs }) => timeMs))
  reply.code(300).header('Last-Modified', httpDate(latestMs)).header('Vary', 'Accept')
  const multipart = /multipart\/(mixed|\*)/i.test(request.headers.accept ?? '')
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
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)])
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
