import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { tombstoneRange, tombstoneRowKey, valueRowKey } from '../../storage/keys.ts'
import { isKeptApart } from '../../storage/object-codec.ts'
import { isIndexed } from '../../storage/row-operations.ts'
import { DamagedRowError } from '../../storage/store.ts'
import { lawRuns } from '../core/law-runs.ts'
import { put, writeOf } from './open-store.ts'
import {
  atRest,
  JournaledDatabase,
  keyWithToken,
  leavesOfRows,
  leavesOfTrees,
  openWorld,
  type TreeWorld
} from './tree-world.ts'

const partitions = 4
const keyCount = 16

/** Keys in few leaves, at both ends of the ring and of partitions. */
const keys = Array.from({ length: keyCount }, (_, i) => {
  const places = [0, 1, 2 ** 20, 2 ** 20 - 1, 2 ** 30, 2 ** 30 - 1, 2 ** 31, 2 ** 32 - 1]
  return keyWithToken(places[i % places.length] ?? 0, `key ${i}`)
})
const keyAt = (i: number) => keys[i] ?? keyWithToken(0, 'none')

type Step =
  | {
      kind: 'put' | 'delete' | 'large' | 'expiring' | 'remove' | 'flipRow' | 'flipValue'
      key: number
    }
  | { kind: 'loseRow' | 'read'; key: number }
  | { kind: 'invalidate' | 'list' | 'verify'; key: number }
  | { kind: 'turns' | 'crash' | 'scrub'; count: number }
  | { kind: 'checkpoint' | 'stop' | 'settle' }

const anyKey = fc.nat({ max: keyCount - 1 })
const changes: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('put', 'put', 'put', 'delete', 'large', 'expiring', 'remove'),
  key: anyKey
})
const looks: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('invalidate', 'list', 'verify', 'read'),
  key: anyKey
})
const pauses: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('turns', 'scrub'),
  count: fc.integer({ min: 1, max: 6 })
})
const keeping: fc.Arbitrary<Step> = fc.record({ kind: fc.constantFrom('checkpoint', 'settle') })
const ends: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('crash' as const), count: fc.nat({ max: 6 }) }),
  fc.record({ kind: fc.constant('stop' as const) })
)
const flips: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('flipRow', 'flipValue'),
  key: anyKey
})
const losses: fc.Arbitrary<Step> = fc.record({ kind: fc.constant('loseRow' as const), key: anyKey })

/** A node's life on one disk. */
class Life {
  database: JournaledDatabase
  world: TreeWorld
  /** What runs beside the steps. */
  #running: Promise<unknown>[] = []

  private constructor(database: JournaledDatabase, world: TreeWorld) {
    this.database = database
    this.world = world
  }

  static async begin(): Promise<Life> {
    const database = await JournaledDatabase.open()
    return new Life(database, await openWorld(database, { partitions }))
  }

  async step(step: Step): Promise<void> {
    const { store, keeper } = this.world
    switch (step.kind) {
      case 'turns':
        for (let i = 0; i < step.count; i++) await nextTurn()
        return
      case 'settle':
        return store.drained()
      case 'checkpoint':
        return this.#beside(keeper.checkpointSome())
      case 'scrub':
        return this.#beside(keeper.scrubSome(step.count * 10))
      case 'crash':
        return this.#reopen(await this.database.afterCrash(step.count))
      case 'stop':
        await keeper.close()
        await store.close()
        return this.#reopen(await this.database.afterCrash(0))
      default:
        return this.#stepOnKey(step.kind, step.key)
    }
  }

  async #stepOnKey(kind: (Step & { key: number })['kind'], i: number): Promise<void> {
    const { store, keeper, trees } = this.world
    const key = keyAt(i)
    const { partition, leaf } = trees.leafOf(key)
    if (kind === 'put') put(store, key, writeOf(`value ${this.database.length}`))
    if (kind === 'expiring') put(store, key, writeOf('short', { ttlMs: 5 }))
    if (kind === 'large') put(store, key, writeOf('x'.repeat(5000), { coversAllHeld: true }))
    if (kind === 'delete') put(store, key, writeOf(null, { coversAllHeld: true }))
    if (kind === 'remove') {
      store.mutate(key, () => ({ next: { versions: [], mintActor: null }, result: null }))
    }
    if (kind === 'invalidate') keeper.invalidate(partition, leaf)
    if (kind === 'verify') this.#beside(keeper.verify(partition))
    if (kind === 'list') this.#beside(keeper.list(partition, leaf))
    if (kind === 'read') this.#read(i)
    if (kind === 'loseRow') await this.#overwrite(key.row, 'lost')
    if (kind === 'flipRow') await this.#overwrite(key.row, 'flipped')
    if (kind === 'flipValue') {
      const apart = (this.#read(i)?.versions ?? []).find(isKeptApart)
      if (apart !== undefined) await this.#overwrite(valueRowKey(key, apart.dot), 'flipped')
    }
  }

  #read(i: number) {
    try {
      const row = this.world.store.read(keyAt(i))
      if (row !== null) this.world.store.withValues(keyAt(i), row.versions)
      return row
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return null
      throw thrown
    }
  }

  async #overwrite(key: Buffer, how: 'lost' | 'flipped'): Promise<void> {
    const bytes = this.database.getSync(key)
    if (bytes === undefined) return
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(9) ^ 4, 9)
    const operation =
      how === 'lost'
        ? ({ type: 'del', key } as const)
        : ({ type: 'put', key, value: flipped } as const)
    await this.database.batch([operation], { sync: true })
  }

  #beside(work: Promise<unknown>): void {
    // What was running when a node stopped ends with an error; anything else shows in the trees.
    this.#running.push(work.catch(() => {}))
  }

  async #reopen(database: JournaledDatabase): Promise<void> {
    this.database = database
    this.world = await openWorld(database, { partitions })
  }

  /** Everything ends; reads find all damage there is. */
  async rest(): Promise<void> {
    await Promise.all(this.#running)
    await atRest(this.world)
  }
}

async function checkTrees({ world }: Life): Promise<void> {
  const { store, trees } = world
  assert.deepEqual(leavesOfTrees(trees), await leavesOfRows(store, trees))
  for (let partition = 0; partition < partitions; partition++) {
    const counts = [...Array(1024).keys()].map((leaf) =>
      trees.leafBytes(partition, leaf).readUInt32BE(0)
    )
    assert.equal(
      trees.keysIn(partition),
      counts.reduce((a, b) => a + b)
    )
    assert.deepEqual(trees.snapshot(partition).root, trees.root(partition))
  }
}

async function checkIndex({ world: { store, trees } }: Life): Promise<void> {
  const { from, to } = tombstoneRange(0, 1)
  const { rows } = await store.walkAside({ from, to }, 1000)
  const wanted = keys.filter((key) => isIndexed(store.read(key))).map(tombstoneRowKey)
  assert.deepEqual(
    rows.map(({ key }) => key.toString('hex')),
    wanted.map((key) => key.toString('hex')).sort()
  )
  assert.equal(trees.partitions, partitions)
}

describe('hash trees are what the rows add up to', () => {
  test('whatever is written, looked at, checkpointed, stopped and crashed', async () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 8, arbitrary: changes },
        { weight: 2, arbitrary: looks },
        { weight: 3, arbitrary: pauses },
        { weight: 2, arbitrary: keeping },
        { weight: 1, arbitrary: ends }
      ),
      { maxLength: 80 }
    )
    const law = fc.asyncProperty(steps, async (sequence) => {
      const life = await Life.begin()
      const mismatches: string[] = []
      for (const step of sequence) {
        mismatches.push(...life.world.mismatches.splice(0))
        await life.step(step)
      }
      await life.rest()
      await checkTrees(life)
      await checkIndex(life)
      assert.deepEqual([...mismatches, ...life.world.mismatches], [], 'nobody took anything away')
      for (let p = 0; p < partitions; p++) assert.deepEqual(await life.world.keeper.verify(p), [])
    })
    await fc.assert(law, lawRuns(150))
  })

  test('and damage, once a read has met it', async () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 8, arbitrary: changes },
        { weight: 3, arbitrary: looks },
        { weight: 3, arbitrary: pauses },
        { weight: 2, arbitrary: keeping },
        { weight: 3, arbitrary: flips },
        { weight: 1, arbitrary: ends }
      ),
      { maxLength: 80 }
    )
    const law = fc.asyncProperty(steps, async (sequence) => {
      const life = await Life.begin()
      for (const step of sequence) await life.step(step)
      await life.rest()
      for (let key = 0; key < keyCount; key++) await life.step({ kind: 'read', key })
      await life.rest()
      await checkTrees(life)
    })
    await fc.assert(law, lawRuns(150))
  })

  test('and losses, once somebody has counted', async () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 8, arbitrary: changes },
        { weight: 3, arbitrary: looks },
        { weight: 3, arbitrary: pauses },
        { weight: 2, arbitrary: keeping },
        { weight: 2, arbitrary: flips },
        { weight: 2, arbitrary: losses },
        { weight: 1, arbitrary: ends }
      ),
      { maxLength: 80 }
    )
    const law = fc.asyncProperty(steps, async (sequence) => {
      const life = await Life.begin()
      for (const step of sequence) await life.step(step)
      await life.rest()
      for (let p = 0; p < partitions; p++) await life.world.keeper.verify(p)
      await life.rest()
      await checkTrees(life)
      life.world.mismatches.length = 0
      for (let p = 0; p < partitions; p++) assert.deepEqual(await life.world.keeper.verify(p), [])
      assert.deepEqual(life.world.mismatches, [])
    })
    await fc.assert(law, lawRuns(150))
  })
})
