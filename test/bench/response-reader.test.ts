import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DecodeError } from '../../core/errors.ts'
import { ResponseReader } from '../../server/bench/response-reader.ts'

interface Answer {
  readonly status: number
  readonly bodyBytes: number
  readonly context: string
  readonly keepAlive: boolean
  readonly lowerCase: boolean
  readonly paddingBytes: number
}

const answers = fc.record<Answer>({
  status: fc.constantFrom(200, 204, 300, 304, 404, 503),
  bodyBytes: fc.integer({ min: 0, max: 3000 }),
  context: fc.stringMatching(/^[A-Za-z0-9_-]{0,40}$/),
  keepAlive: fc.boolean(),
  lowerCase: fc.boolean(),
  paddingBytes: fc.integer({ min: 0, max: 2000 })
})

function hasBody(answer: Answer): boolean {
  return answer.status !== 204 && answer.status !== 304
}

function encode(answer: Answer): Buffer {
  const headers = [`X-Padding: ${'p'.repeat(answer.paddingBytes)}`]
  if (hasBody(answer)) headers.push(`Content-Length: ${answer.bodyBytes}`)
  if (answer.context !== '') headers.push(`Causal-Context: ${answer.context}`)
  if (!answer.keepAlive) headers.push('Connection: close')
  const lines = answer.lowerCase ? headers.map(lowerCaseName) : headers
  const head = `HTTP/1.1 ${answer.status} Some Words\r\n${lines.join('\r\n')}\r\n\r\n`
  return Buffer.from(head + (hasBody(answer) ? '\r'.repeat(answer.bodyBytes) : ''), 'latin1')
}

function lowerCaseName(header: string): string {
  return header.replace(/^[^:]*/, (name) => name.toLowerCase())
}

test('responses are read the same however they are cut into pieces', () => {
  fc.assert(
    fc.property(
      fc.array(answers, { minLength: 1, maxLength: 4 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 1500 })),
      (sent, sizes) => {
        const reader = new ResponseReader()
        for (const answer of sent) {
          const bytes = encode(answer)
          let complete = false
          for (let at = 0; at < bytes.length; ) {
            assert.equal(complete, false)
            const size = Math.min(sizes.next().value ?? 1, bytes.length - at)
            // What lies beyond the length is of an earlier read and must not be looked at.
            const buffer = Buffer.concat([
              bytes.subarray(at, at + size),
              Buffer.from('\r\n\r\nold')
            ])
            complete = reader.receive(buffer, size)
            at += size
          }
          assert.equal(complete, true)
          assert.equal(reader.status, answer.status)
          assert.equal(reader.bodyBytes, hasBody(answer) ? answer.bodyBytes : 0)
          assert.equal(reader.keepAlive, answer.keepAlive)
          assert.equal(reader.causalContext(), answer.context)
          reader.reset()
        }
      }
    )
  )
})

test('what is not one response of known length is refused, and named', () => {
  const cases: [string, RegExp][] = [
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', /without Content-Length/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab', /more bytes/],
    ['HTTP/1.1 204 No Content\r\n\r\na', /more bytes/],
    ['HTTP/1.1 100 Continue\r\n\r\n', /not a final/],
    ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', /not a final/],
    ['SSH-2.0-OpenSSH_9.6\r\n\r\n', /not a final/],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}`, /head larger/]
  ]
  for (const [text, message] of cases) {
    const bytes = Buffer.from(text)
    assert.throws(
      () => new ResponseReader().receive(bytes, bytes.length),
      (error) => error instanceof DecodeError && message.test(error.message)
    )
  }
})
