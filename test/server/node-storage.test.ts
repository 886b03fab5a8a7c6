import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deriveKeys } from '../../core/secrets.ts'
import { loadConfig } from '../../server/config/load-config.ts'
import { NodeMetrics } from '../../server/node-metrics.ts'
import { openNodeStorage } from '../../server/node-storage.ts'
import { EarlyMarks } from '../../server/repair/early-marks.ts'
import type { Database } from '../../storage/database.ts'
import { isObjectRowKey } from '../../storage/keys.ts'
import { seededRandom } from '../oracle/seeded-random.ts'
import { memoryDatabase } from '../storage/open-store.ts'

test('what cannot be read of a partition is damage of it, also where its leaves were not counted yet', async () => {
  const memory = await memoryDatabase()
  const database: Database = {
    ...memory,
    slice: (from, to, limit) =>
      isObjectRowKey(from) && (from[1] ?? 0) >> 5 === 2
        ? Promise.reject(new Error('Corruption: bad block contents'))
        : memory.slice(from, to, limit)
  }
  const early = new EarlyMarks()
  const marked: number[] = []
  const forgotten: number[] = []
  early.connect({
    service: { markEarly: (partition) => marked.push(partition) },
    watermarks: { forget: (partition) => forgotten.push(partition) }
  })
  const { store, keeper } = await openNodeStorage(
    {
      clock: { now: () => 0, monotonic: () => 0 },
      timers: {
        set: (callback) => ({ timer: setImmediate(callback) }),
        clear() {},
        atEndOfTurn: (callback) => void setImmediate(callback)
      },
      random: seededRandom(1),
      database,
      isSalvaged: false,
      log: { debug() {}, info() {}, warn() {}, error() {} },
      config: loadConfig({
        flags: { id: 'n1', set: ['cluster.partitions=8', 'cluster.secret=a secret'] },
        env: {},
        readFile: () => ''
      }),
      readDisk: null,
      onFailure: (error) => assert.fail(error)
    },
    { metrics: new NodeMetrics(), keys: await deriveKeys('a cluster', 'a secret'), early }
  )
  for (let partition = 0; partition < 8; partition++) await keeper.ready(partition)
  assert.deepEqual(forgotten, [2])
  assert.deepEqual(marked, [2])
  await store.close()
})
