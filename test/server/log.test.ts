import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { AnnealError } from '../../core/errors.ts'
import type { Log } from '../../core/ports.ts'
import { createLog, type LogLevel, rateLimitedLog } from '../../server/log.ts'
import { VirtualTime } from '../sim/virtual-time.ts'

class Lines extends Writable {
  #text = ''

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#text += chunk.toString()
    done()
  }

  get all(): string[] {
    return this.#text.split('\n').slice(0, -1)
  }

  get parsed(): Record<string, unknown>[] {
    return this.all.map((line) => JSON.parse(line))
  }
}

function logTo(lines: Lines, level: LogLevel = 'debug', pretty = false): Log {
  return createLog({ level, pretty, node: 'n1', destination: lines })
}

describe('log', () => {
  test('an event is one JSON line with level, time, node, fields and message', () => {
    const lines = new Lines()
    logTo(lines).warn({ peer: 'n2', attempts: 3 }, 'peer refused')
    const [{ time, ...rest } = {}, ...others] = lines.parsed
    assert.deepEqual(rest, {
      level: 'warn',
      node: 'n1',
      peer: 'n2',
      attempts: 3,
      msg: 'peer refused'
    })
    assert.equal(new Date(String(time)).toISOString(), time)
    assert.deepEqual(others, [])
  })

  test('what is below the level is not written', () => {
    const lines = new Lines()
    const log = logTo(lines, 'warn')
    log.debug({}, 'no')
    log.info({}, 'no')
    log.warn({}, 'yes')
    log.error({}, 'yes')
    assert.equal(lines.all.length, 2)
  })

  test('what authenticates is never written, however deep it lies', () => {
    const lines = new Lines()
    const secret = 'hunter2'
    const headers = { authorization: secret, Authorization: secret, accept: 'x' }
    const deep = { clusterSecret: secret, list: [{ token: secret }], tokens: [secret] }
    logTo(lines).info({ secret, headers, deep, error: { token: secret } }, 'said')
    assert.doesNotMatch(lines.all.join(), /hunter2/)
    assert.match(lines.all.join(), /"accept":"x"/)
    assert.equal(lines.parsed[0]?.['secret'], '[redacted]')
  })

  for (const pretty of [false, true]) {
    const kind = pretty ? 'pretty' : 'JSON'
    test(`whatever the fields hold, a ${kind} line is one line, of bounded length`, () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary' }), fc.anything(), (text, value) => {
          const lines = new Lines()
          const log = logTo(lines, 'debug', pretty)
          const error = new Error(text)
          log.info({ [text]: value, text, value, err: error, error }, text)
          assert.equal(lines.all.length, 1)
          // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there.
          assert.doesNotMatch(lines.all[0] ?? '', /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
        })
      )
      const lines = new Lines()
      const huge = 'k'.repeat(1_000_000)
      const cyclic: Record<string, unknown> = { huge, [huge]: huge, bytes: Buffer.alloc(1e6) }
      cyclic['self'] = cyclic
      cyclic['list'] = new Array(10_000).fill('entry')
      logTo(lines, 'debug', pretty).info(cyclic, huge)
      assert.equal(lines.all.length, 1)
      assert.ok((lines.all[0] ?? '').length < 30_000)
    })
  }

  test('an error is written with its code, its cause and where it was thrown', () => {
    const lines = new Lines()
    const cause = new Error('line one\nline two')
    const error = new AnnealError('disk_full', 'no space', { freeBytes: 10 }, cause)
    logTo(lines).error({ error }, 'write failed')
    const written = lines.parsed[0]?.['error']
    assert.ok(typeof written === 'object' && written !== null)
    const { stack, cause: writtenCause, ...rest } = { stack: [], cause: {}, ...written }
    assert.deepEqual(rest, {
      name: 'AnnealError',
      message: 'no space',
      code: 'disk_full',
      details: { freeBytes: 10 }
    })
    assert.match(String(stack), /log\.test\.ts/)
    assert.match(JSON.stringify(writtenCause), /line one\\\\nline two/)
  })
})

describe('rate-limited log', () => {
  interface Line {
    readonly level: keyof Log
    readonly fields: object
    readonly message: string
  }

  function recordingLog(lines: Line[]): Log {
    const write =
      (level: keyof Log) =>
      (fields: object, message: string): void => {
        lines.push({ level, fields, message })
      }
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error')
    }
  }

  test('passes so many lines a minute for each event, then says how many were left out', async () => {
    const time = new VirtualTime()
    const lines: Line[] = []
    const log = rateLimitedLog(recordingLog(lines), time.clock, 2)
    for (let i = 0; i < 5; i++) log.warn({ i }, 'noisy')
    log.error({}, 'noisy')
    log.warn({}, 'quiet')
    assert.deepEqual(
      lines.map(({ level, message }) => `${level} ${message}`),
      ['warn noisy', 'warn noisy', 'error noisy', 'warn quiet']
    )
    lines.length = 0
    await time.run(59_999)
    log.warn({}, 'noisy')
    assert.deepEqual(lines, [])
    await time.run(60_000)
    log.info({ next: true }, 'another')
    assert.deepEqual(lines, [
      { level: 'warn', fields: { leftOut: 4 }, message: 'noisy (left out: 4 more like this)' },
      { level: 'info', fields: { next: true }, message: 'another' }
    ])
  })

  test('events without number are held to one limit together', () => {
    const lines: Line[] = []
    const log = rateLimitedLog(recordingLog(lines), new VirtualTime().clock, 2)
    for (let i = 0; i < 10_000; i++) log.info({}, `key ${i}`)
    assert.equal(lines.length, 1002)
  })
})
