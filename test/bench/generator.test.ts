import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type GeneratorPlan, GeneratorPool, sharePlan } from '../../server/bench/generator.ts'
import { LatencyHistogram } from '../../server/bench/histogram.ts'
import { StubServer } from './stub-server.ts'

function planOf(port: number, changes: Partial<GeneratorPlan> = {}): GeneratorPlan {
  return {
    targets: [{ host: '127.0.0.1', port }],
    operation: 'put',
    bucket: 'b',
    keys: { kind: 'each', from: 0, to: 300 },
    valueBytes: 10,
    connections: 5,
    durationMs: null,
    timeoutMs: 60_000,
    ...changes
  }
}

test('the shares of the processes together are the whole, and none is without a connection', () => {
  const counts = fc.integer({ min: 1, max: 100 })
  fc.assert(
    fc.property(counts, counts, counts, (connections, keyCount, processes) => {
      const keys = { kind: 'each', from: 0, to: keyCount } as const
      let nextConnection = 0
      let nextKey = 0
      for (const share of sharePlan(planOf(1, { connections, keys }), processes)) {
        assert.equal(share.connections.first, nextConnection)
        assert.ok(share.connections.count > 0)
        nextConnection += share.connections.count
        assert.ok(share.keys.kind === 'each' && share.keys.from === nextKey)
        nextKey = share.keys.to
      }
      assert.deepEqual([nextConnection, nextKey], [connections, keyCount])
    })
  )
})

test('several processes count together what the server has counted', async () => {
  const stub = new StubServer()
  await stub.listen()
  const pool = new GeneratorPool(2)
  try {
    stub.intercept = (_request, response, count) => {
      if (count % 10 === 0) response.writeHead(503, { 'content-length': 0 }).end()
      return response.headersSent
    }
    const { signal } = new AbortController()
    for (let run = 1; run <= 2; run++) {
      const result = await pool.run(planOf(stub.port), signal)
      const latency = new LatencyHistogram()
      latency.merge(result.latency)
      assert.equal(latency.count, 270)
      assert.deepEqual(result.errors, new Map([['503', 30]]))
      assert.equal(stub.count('PUT'), 300 * run)
      assert.ok(result.cpuMicros > 0)
    }
    assert.equal(stub.pathsBySocket.size, 10)
  } finally {
    await pool.stop()
    await stub.close()
  }
})

test('a run that is given up rejects with the reason, and the pool can be stopped', async () => {
  const stub = new StubServer()
  await stub.listen()
  const pool = new GeneratorPool(1)
  try {
    const abort = new AbortController()
    const reason = new Error('enough')
    stub.intercept = () => {
      abort.abort(reason)
      return true
    }
    await assert.rejects(pool.run(planOf(stub.port), abort.signal), reason)
  } finally {
    await pool.stop()
    await stub.close()
  }
  await assert.rejects(pool.run(planOf(1), new AbortController().signal), /not running/)
})
