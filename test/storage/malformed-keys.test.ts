import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Database } from '../../storage/database.ts'
import { hintRowKey, parseHintRowKey } from '../../storage/hint-row.ts'
import {
  checkpointRowKey,
  dirtyRowKey,
  isMalformed,
  parseObjectKey,
  parseTombstoneRowKey,
  type RowRange,
  tombstoneRange,
  tombstoneRowKey
} from '../../storage/keys.ts'
import { lawRuns } from '../core/law-runs.ts'
import { memoryDatabase, openStore, put, writeOf } from './open-store.ts'
import { keyWithToken, leavesOfRows, leavesOfTrees, openWorld } from './tree-world.ts'

const parsers = new Map<number, (row: Buffer) => unknown>([
  [0x6f, parseObjectKey],
  [0x74, parseTombstoneRowKey],
  [0x68, parseHintRowKey]
])
/** Rows of each kind under keys that end too early, or name lengths that they do not have. */
const malformed = [
  Buffer.from('6f20000000000000000009', 'hex'),
  Buffer.from('6f2000000000000000ffff61', 'hex'),
  Buffer.from('6f21', 'hex'),
  Buffer.from('742000000000000000ffff61', 'hex'),
  Buffer.from('68', 'hex'),
  Buffer.from('68ff6e31', 'hex'),
  Buffer.from('6300', 'hex'),
  Buffer.from('64000000', 'hex')
]

describe('a key in which bits have flipped', () => {
  test('is told from those that can be read, for whatever bytes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...parsers.keys()),
        fc.uint8Array({ maxLength: 30 }),
        (kind, rest) => {
          const row = Buffer.from([kind, ...rest])
          let isReadable = true
          try {
            parsers.get(kind)?.(row)
          } catch {
            isReadable = false
          }
          assert.equal(isMalformed(row), !isReadable)
        }
      ),
      lawRuns(2000)
    )
  })

  test('is none that anything here writes', () => {
    const key = keyWithToken(7, 'name')
    const written = [
      key.row,
      tombstoneRowKey(key),
      hintRowKey('n1', key),
      checkpointRowKey(3),
      dirtyRowKey(3, 1023),
      Buffer.from('mname')
    ]
    assert.deepEqual(written.filter(isMalformed), [])
  })

  for (const [name, row] of malformed.map((key) => [key.toString('hex'), key] as const)) {
    test(`(${name}) keeps nothing from being read, counted and collected, and is deleted`, async () => {
      const database = await memoryDatabase()
      const first = await openWorld(database, { partitions: 2 })
      for (let i = 0; i < 40; i++) {
        put(first.store, keyWithToken(i * 0x0600_0000, `key ${i}`), writeOf(i % 3 ? 'value' : null))
      }
      await first.keeper.close()
      await first.settle()
      await database.batch([{ type: 'put', key: row, value: Buffer.alloc(40, 1) }], { sync: true })

      const { store, trees, keeper, settle } = await openWorld(database, { partitions: 2 })
      let tombstones = 0
      for (const partition of [0, 1]) {
        await keeper.verify(partition)
        await keeper.snapshot(partition)
        tombstones += (await store.walkAside(tombstoneRange(partition, 2), 100)).rows.length
      }
      assert.equal(tombstones, 14)
      await store.walkAside({ from: Buffer.from('h'), to: Buffer.from('i') }, 100)
      await settle()
      assert.deepEqual(leavesOfTrees(trees), await leavesOfRows(store, trees))
      assert.equal(await holds(database, row), false)
    })
  }

  test('tells that rows are missing in its range, and ends what this node has minted', async () => {
    const database = await memoryDatabase()
    const unreadable: RowRange[] = []
    const { store, told } = await openStore(database, {
      events: {
        onBatch() {},
        onDamage() {},
        onIncarnation() {
          told.incarnations++
        },
        onFailure() {},
        onUnreadable: (range) => unreadable.push(range)
      }
    })
    put(store, keyWithToken(0, 'minted'), writeOf('value'))
    const [row] = malformed
    assert.ok(row !== undefined)
    await database.batch([{ type: 'put', key: row, value: Buffer.alloc(40, 1) }], { sync: true })
    const before = told.incarnations
    const range = { from: Buffer.from('o'), to: Buffer.from('p') }
    const { rows } = await store.walk(range, 100)
    assert.deepEqual(
      rows.map(({ key }) => String(key.key)),
      ['minted']
    )
    assert.deepEqual(unreadable, [range])
    assert.equal(told.incarnations, before + 1)
    await store.walk(range, 100)
    assert.equal(unreadable.length, 1, 'it is gone')
  })
})

async function holds(database: Database, row: Buffer): Promise<boolean> {
  return (await database.slice(row, Buffer.concat([row, Buffer.of(0)]), 1)).length > 0
}
