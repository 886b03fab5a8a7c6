import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partitionRange, rowAfter } from '../../storage/keys.ts'
import type { Store } from '../../storage/store.ts'
import { seededRandom } from '../oracle/seeded-random.ts'
import { keyOf, put, writeOf } from './open-store.ts'
import { temporaryStore } from './temporary-level.ts'

/**
 * LevelDB 1.20 can return an old value, or a deleted key, where an iterator stays open across a compaction while its
 * keys are overwritten (https://github.com/google/leveldb/issues/320). The store therefore reads slices and keeps
 * nothing open; this overwrites rows while slices are read, and compares every read with what was last written.
 *
 * `ANNEAL_OVERWRITES=2000000` makes it as many operations.
 */
const overwrites = Number(process.env['ANNEAL_OVERWRITES'] ?? 100_000)
const keyCount = 10_000
const burst = 100
const sliceRows = 256
const keys = Array.from({ length: keyCount }, (_, i) => keyOf(`k${String(i).padStart(5, '0')}`))
const numberOf = (key: Uint8Array) => Number(Buffer.from(key).toString().slice(1))

function numberBytes(operation: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(operation)
  return bytes
}

/** The number of the write that the row holds; -1 where there is none. */
function readNumber(store: Store, key: (typeof keys)[number]): number {
  const value = store.read(key)?.versions[0]?.value ?? null
  return value === null ? -1 : Buffer.from(value).readUInt32BE(0)
}

test(`${overwrites} overwrites beside a walk: every read gives what was last written`, async (t) => {
  const { store } = await temporaryStore(t, 4 * 1024 * 1024)
  const random = seededRandom(320)
  // What compresses well would never fill the levels of the tree.
  const noise = Buffer.from(random.bytes(64 * 1024))
  const lastWritten = new Int32Array(keyCount).fill(-1)
  const everything = partitionRange(0, 1)
  let { from } = everything
  let wrong = 0
  let walked = 0

  function overwrite(operation: number): void {
    const i = random.below(keyCount)
    const key = keys[i]
    if (key === undefined) return
    if (random.below(20) === 0) {
      store.mutate(key, () => ({ next: { versions: [], mintActor: null }, result: null }))
      lastWritten[i] = -1
      return
    }
    const value = noise.subarray(random.below(noise.length - 1024)).subarray(0, 1024)
    put(
      store,
      key,
      writeOf(Buffer.concat([numberBytes(operation), value]), { coversAllHeld: true })
    )
    lastWritten[i] = operation
  }

  /** One slice of a walk without end; what the database had for each row is checked against what the store says. */
  async function walkOneSlice(): Promise<void> {
    const { rows, next } = await store.walk({ from, to: everything.to }, sliceRows)
    for (const { key, row } of rows) {
      const value = row?.versions[0]?.value ?? null
      walked++
      if (value === null || lastWritten[numberOf(key.key)] !== Buffer.from(value).readUInt32BE(0)) {
        wrong++
      }
    }
    const last = rows.at(-1)
    from = next ?? everything.from
    assert.ok(
      next === null || last === undefined || Buffer.compare(next, rowAfter(last.key.row)) >= 0
    )
  }

  for (let operation = 0; operation < overwrites; operation += burst) {
    for (let i = 0; i < burst; i++) overwrite(operation + i)
    await walkOneSlice()
    for (let i = 0; i < burst; i++) {
      const at = random.below(keyCount)
      const key = keys[at]
      if (key !== undefined && readNumber(store, key) !== lastWritten[at]) wrong++
    }
  }
  await store.drained()
  for (const [i, key] of keys.entries()) if (readNumber(store, key) !== lastWritten[i]) wrong++
  assert.equal(wrong, 0, 'reads that gave something else than what was last written')
  assert.ok(walked > overwrites, `only ${walked} rows were walked`)
})
