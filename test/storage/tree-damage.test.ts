import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Database } from '../../storage/database.ts'
import {
  checkpointRowKey,
  dirtyRange,
  partitionRange,
  tombstoneRowKey,
  valueRowKey
} from '../../storage/keys.ts'
import { RowScrub } from '../../storage/row-scrub.ts'
import { memoryDatabase, put, rowsUnder, take, writeOf } from './open-store.ts'
import { temporaryLevel } from './temporary-level.ts'
import {
  atRest,
  hasher,
  JournaledDatabase,
  keyWithToken,
  leavesOfRows,
  leavesOfTrees,
  openWorld,
  slowSlices,
  type TreeWorld
} from './tree-world.ts'

const key = (i: number) => keyWithToken(2 ** 28 * i, `key ${i}`)
const placeOf = ({ trees }: TreeWorld, i: number) => {
  const { partition, leaf } = trees.leafOf(key(i))
  return `${partition}/${leaf}`
}

async function filledWorld(database: Database): Promise<TreeWorld> {
  const world = await openWorld(database)
  for (let i = 0; i < 16; i++) put(world.store, key(i), writeOf(i === 3 ? 'x'.repeat(5000) : 'v'))
  await atRest(world)
  return world
}

async function flip(database: Database, row: Buffer): Promise<void> {
  const value = Buffer.from(database.getSync(row) ?? [])
  value.writeUInt8(value.readUInt8(10) ^ 1, 10)
  await database.batch([{ type: 'put', key: row, value }], { sync: true })
}

async function scrubRound({ keeper }: TreeWorld, rowsMax = 3): Promise<number> {
  let differing = 0
  for (;;) {
    const report = await keeper.scrubSome(rowsMax)
    differing += report.differing
    if (report.finishedRound) return differing
  }
}

async function assertExact(world: TreeWorld): Promise<void> {
  await atRest(world)
  assert.deepEqual(leavesOfTrees(world.trees), await leavesOfRows(world.store, world.trees))
}

describe('a scrub', () => {
  test('finds a row that vanished, sets the leaf right and ends the incarnation', async () => {
    const database = await memoryDatabase()
    const world = await filledWorld(database)
    const { incarnation } = world.store.minter
    await database.batch([{ type: 'del', key: key(5).row }], { sync: true })
    assert.equal(await scrubRound(world), 1)
    assert.deepEqual(world.mismatches, [placeOf(world, 5)])
    assert.notEqual(world.store.minter.incarnation, incarnation)
    await assertExact(world)
    assert.equal(await scrubRound(world), 0)
  })

  test('finds a row that turned old', async () => {
    const database = await memoryDatabase()
    const world = await filledWorld(database)
    const old = Buffer.from(database.getSync(key(6).row) ?? [])
    put(world.store, key(6), writeOf('new'))
    await atRest(world)
    await database.batch([{ type: 'put', key: key(6).row, value: old }], { sync: true })
    assert.equal(await scrubRound(world), 1)
    assert.deepEqual(world.mismatches, [placeOf(world, 6)])
    await assertExact(world)
  })

  test('finds damage in rows and in values that are kept apart', async () => {
    const database = await memoryDatabase()
    const world = await filledWorld(database)
    const [version] = world.store.read(key(3))?.versions ?? []
    assert.ok(version !== undefined)
    await flip(database, key(2).row)
    await flip(database, valueRowKey(key(3), version.dot))
    const roots = [0, 1, 2, 3].map((p) => Buffer.from(world.trees.root(p)).toString('hex'))
    assert.equal(await scrubRound(world), 2)
    assert.deepEqual(
      world.told.damage.map(({ key: { id } }) => id),
      [key(2).id, key(3).id]
    )
    await assertExact(world)
    assert.equal(world.trees.keysIn(0), 2, 'damaged rows count as absent')

    // Another replica's copy heals them, and the trees are again what they were.
    const healthy = await filledWorld(await memoryDatabase())
    assert.equal(healthy.trees.keysIn(0), 4)
    take(world.store, key(3), [{ ...version, value: Buffer.from('x'.repeat(5000)) }])
    assert.equal(world.trees.keysIn(0), 3)
    await assertExact(world)
    assert.notEqual(Buffer.from(world.trees.root(0)).toString('hex'), roots[0])
  })

  test('never blames a write that goes on beside it', async () => {
    const world = await filledWorld(slowSlices(await memoryDatabase()))
    for (let i = 0; i < 600; i++) put(world.store, keyWithToken(i, `many ${i}`), writeOf('v'))
    await atRest(world)
    const { incarnation } = world.store.minter
    let scrubbing = true
    const scrubbed = Promise.all([scrubRound(world, 50), world.keeper.verify(0)]).finally(() => {
      scrubbing = false
    })
    for (let i = 0; scrubbing; i++) {
      put(world.store, keyWithToken((i * 37) % 600, `many ${(i * 37) % 600}`), writeOf(`${i}`))
      const gone = keyWithToken((i * 11) % 600, `many ${(i * 11) % 600}`)
      world.store.mutate(gone, () => ({ next: { versions: [], mintActor: null }, result: null }))
      await nextTurn()
    }
    assert.deepEqual(await scrubbed, [0, []])
    assert.deepEqual(world.mismatches, [])
    assert.equal(world.store.minter.incarnation, incarnation)
    await assertExact(world)
  })

  test('puts back what is missing in the tombstone index', async () => {
    const database = await memoryDatabase()
    const world = await filledWorld(database)
    put(world.store, key(9), writeOf(null))
    await atRest(world)
    await database.batch([{ type: 'del', key: tombstoneRowKey(key(9)) }], { sync: true })
    await scrubRound(world)
    assert.notEqual(world.store.aside(tombstoneRowKey(key(9))), null)
  })

  test('goes on where it stopped, also within a partition, and round and round', async () => {
    const world = await filledWorld(await memoryDatabase())
    const counts: number[] = []
    for (let rounds = 0; rounds < 2; ) {
      const { rows, finishedRound } = await world.keeper.scrubSome(3)
      counts.push(rows)
      if (finishedRound) rounds++
    }
    assert.equal(
      counts.reduce((a, b) => a + b),
      32
    )
    assert.ok(counts.length >= 8)
  })

  for (const [pace, msPerLook] of [
    ['fast', 0],
    ['slow', 1]
  ] as const) {
    test(`lets others have a turn as often as reading values takes time (${pace})`, async () => {
      const world = await openWorld(await memoryDatabase())
      for (let i = 0; i < 60; i++) put(world.store, key(i / 4), writeOf('x'.repeat(5000)))
      await atRest(world)
      const { rows } = await world.store.walk(partitionRange(0, 1), 256)
      let [nowMs, looks, turns] = [0, 0, 0]
      const monotonic = () => {
        looks++
        nowMs += msPerLook
        return nowMs
      }
      const set = (callback: () => void) => {
        turns++
        return { timer: setImmediate(callback) }
      }
      const timers = { set, clear() {}, atEndOfTurn() {} }
      const scrub = new RowScrub(world.store, { clock: { now: () => 0, monotonic }, timers })
      scrub.visit(rows)
      await scrub.afterSlice()
      assert.ok(looks > 60)
      assert.equal(turns, msPerLook === 0 ? 0 : 30)
    })
  }
})

describe('a verification', () => {
  test('that is asked for again while it goes on is carried out once', async () => {
    const memory = await memoryDatabase()
    let slices = 0
    const slice = (from: Buffer, to: Buffer, limit: number) => {
      slices++
      return memory.slice(from, to, limit)
    }
    const world = await filledWorld({ ...slowSlices(memory), slice })
    slices = 0
    await world.keeper.verify(0)
    const once = slices
    slices = 0
    await memory.batch([{ type: 'del', key: key(2).row }], { sync: true })
    const { leaf } = world.trees.leafOf(key(2))
    const found = await Promise.all([0, 0, 0, 0].map((partition) => world.keeper.verify(partition)))
    assert.deepEqual(found, [[leaf], [leaf], [leaf], [leaf]])
    assert.equal(slices, once)
    await world.keeper.verify(0)
    assert.equal(slices, 2 * once, 'one that is over is not answered with')
  })
})

describe('damage', () => {
  test('that a read meets has its leaf counted again before the next snapshot', async () => {
    const database = await memoryDatabase()
    const world = await filledWorld(database)
    await flip(database, key(7).row)
    assert.throws(() => world.store.read(key(7)))
    assert.equal(world.keeper.isReady(1), false)
    const snapshot = await world.keeper.snapshot(1)
    assert.equal(snapshot.keys, 3)
    await assertExact(world)
    assert.deepEqual(world.mismatches, [], 'it was told as damage already')
  })

  test('that has passed is none: the row counts again, and what replaces it is counted once', async () => {
    const database = await memoryDatabase()
    let isFailing = false
    const failing: Database = {
      ...database,
      getSync: (row) => {
        if (isFailing && row.equals(key(7).row)) throw new Error('IO error: too many open files')
        return database.getSync(row)
      }
    }
    const world = await filledWorld(failing)
    const fail = async () => {
      isFailing = true
      assert.throws(() => world.store.read(key(7)))
      await atRest(world)
      isFailing = false
      assert.equal(world.trees.keysIn(1), 3)
    }
    await fail()
    assert.notEqual(world.store.read(key(7)), null)
    assert.deepEqual(world.store.damagedKeys(16), [])
    await assertExact(world)
    await fail()
    put(world.store, key(7), writeOf('new'))
    await assertExact(world)
    assert.equal(await scrubRound(world), 0)
    assert.deepEqual(world.mismatches, [])
  })

  test('is remembered over a crash by the mark of its leaf', async () => {
    const disk = await JournaledDatabase.open()
    const world = await filledWorld(disk)
    while ((await world.keeper.checkpointSome()) !== null);
    await flip(disk, key(7).row)
    assert.throws(() => world.store.read(key(7)))
    world.keeper.invalidate(0, 5)
    await world.store.drained()
    const next = await openWorld(await disk.afterCrash(0))
    const { leaf } = next.trees.leafOf(key(7))
    assert.deepEqual(next.trees.distrustedRuns(1), [{ first: leaf, end: leaf + 1 }])
    assert.deepEqual(next.trees.distrustedRuns(0), [{ first: 5, end: 6 }])
    await assertExact(next)
  })

  test('of a value keeps its leaf out of checkpoints until it is healed', async () => {
    const database = await memoryDatabase()
    const world = await filledWorld(database)
    const checkpoints = async () => {
      while ((await world.keeper.checkpointSome()) !== null);
    }
    await checkpoints()
    const [version] = world.store.read(key(3))?.versions ?? []
    assert.ok(version !== undefined)
    await flip(database, valueRowKey(key(3), version.dot))
    assert.equal(await scrubRound(world), 1)
    put(world.store, key(12), writeOf('elsewhere'))
    await assertExact(world)
    await checkpoints()
    assert.equal(world.trees.wantsCheckpoint(0), true)
    assert.equal(world.trees.wantsCheckpoint(3), false)

    // A start knows nothing of the damage before the value is read again.
    const next = await openWorld(database)
    await assertExact(next)
    assert.equal(next.trees.keysIn(0), 4)

    take(world.store, key(3), [{ ...version, value: Buffer.from('x'.repeat(5000)) }])
    await checkpoints()
    assert.equal(world.trees.wantsCheckpoint(0), false)
  })

  test('that is met behind the place of a count has the leaf counted once more', async () => {
    const database = await memoryDatabase()
    const world = await openWorld(slowSlices(database))
    for (let i = 0; i < 600; i++) put(world.store, keyWithToken(i, `many ${i}`), writeOf('v'))
    await atRest(world)
    const verified = world.keeper.verify(0)
    for (let turns = 0; turns < 4; turns++) await nextTurn()
    await flip(database, keyWithToken(0, 'many 0').row)
    assert.throws(() => world.store.read(keyWithToken(0, 'many 0')))
    assert.deepEqual(await verified, [0])
    assert.equal(world.trees.keysIn(0), 599)
    await assertExact(world)
  })

  test('that was found and set right is not found once more after a crash', async () => {
    const disk = await JournaledDatabase.open()
    const world = await filledWorld(disk)
    while ((await world.keeper.checkpointSome()) !== null);
    await disk.batch([{ type: 'del', key: key(4).row }], { sync: true })
    assert.equal((await world.keeper.verify(1)).length, 1)
    await world.store.drained()
    const next = await openWorld(await disk.afterCrash(0))
    await atRest(next)
    assert.deepEqual(await next.keeper.verify(1), [])
  })

  test('that a listing comes upon is set right and told', async () => {
    const database = await memoryDatabase()
    const world = await filledWorld(database)
    const { partition, leaf } = world.trees.leafOf(key(8))
    await database.batch([{ type: 'del', key: key(8).row }], { sync: true })
    assert.equal((await world.keeper.list(partition, leaf)).agrees, false)
    assert.deepEqual(world.mismatches, [placeOf(world, 8)])
    assert.equal((await world.keeper.list(partition, leaf)).agrees, true)
  })

  test('of files that cannot be read keeps its partition from being compared, and no other', async () => {
    const database = await memoryDatabase()
    let isBroken = false
    const broken: Database = {
      ...slowSlices(database),
      slice: (from, to, limit) =>
        isBroken && (from[1] ?? 0) >= 0xc0
          ? Promise.reject(new Error('Corruption: bad block contents'))
          : database.slice(from, to, limit)
    }
    const world = await filledWorld(broken)
    isBroken = true
    for (const partition of [2, 3]) world.keeper.invalidate(partition, 0)
    await assert.rejects(world.keeper.snapshot(3), /partition 3 cannot be read: .*bad block/)
    assert.equal((await world.keeper.snapshot(2)).keys, 4)
    isBroken = false
    assert.equal((await world.keeper.snapshot(3)).keys, 4)
  })

  test('is not looked for in a partition that does not exist, which adds none to the trees', async () => {
    const world = await filledWorld(await memoryDatabase())
    await assert.rejects(world.keeper.verify(9), /the partition is one of the cluster/)
    assert.equal(world.trees.partitions, 4)
    assert.equal(await scrubRound(world), 0)
    await assertExact(world)
  })

  test('is what verify answers with', async () => {
    const database = await memoryDatabase()
    const world = await filledWorld(database)
    await database.batch([{ type: 'del', key: key(4).row }], { sync: true })
    await flip(database, key(6).row)
    const leaves = [4, 6].map((i) => world.trees.leafOf(key(i)).leaf)
    assert.deepEqual(await world.keeper.verify(1), leaves)
    assert.deepEqual(await world.keeper.verify(1), [])
    await assertExact(world)
  })
})

describe('checkpoints', () => {
  /** Counts the rows that are read after a start. */
  function counting(database: Database): { database: Database; slices: () => number } {
    let slices = 0
    const counted: Database = {
      getSync: (row) => database.getSync(row),
      batch: (operations, options) => database.batch(operations, options),
      slice: (from, to, limit) => {
        if (from[0] === 0x6f) slices++
        return database.slice(from, to, limit)
      },
      close: () => database.close()
    }
    return { database: counted, slices: () => slices }
  }

  test('of a stop in order leave nothing to count', async () => {
    const disk = await JournaledDatabase.open()
    const world = await filledWorld(disk)
    await world.keeper.close()
    await world.store.close()
    const { database, slices } = counting(disk)
    const next = await openWorld(database)
    assert.ok([0, 1, 2, 3].every((p) => next.keeper.isReady(p)))
    assert.equal(slices(), 0)
    assert.deepEqual(leavesOfTrees(next.trees), leavesOfTrees(world.trees))
    assert.deepEqual(await rowsUnder(disk, 'd'), [])
  })

  test('leave the leaves that were written to since, and only those', async () => {
    const disk = await JournaledDatabase.open()
    const world = await filledWorld(disk)
    while ((await world.keeper.checkpointSome()) !== null);
    for (let round = 0; round < 3; round++) put(world.store, key(9), writeOf(`${round}`))
    await world.store.drained()
    assert.equal((await rowsUnder(disk, 'd')).length, 1, 'one mark, at the first write')
    const next = await openWorld(await disk.afterCrash(0))
    const { partition, leaf } = next.trees.leafOf(key(9))
    assert.deepEqual(next.trees.distrustedRuns(partition), [{ first: leaf, end: leaf + 1 }])
    assert.ok([0, 1, 3].every((p) => next.keeper.isReady(p)))
    await assertExact(next)
    assert.equal(await next.keeper.checkpointSome(), partition)
    assert.equal(await next.keeper.checkpointSome(), null)
    assert.equal((await next.store.walkAside(dirtyRange, 10)).rows.length, 0)
  })

  test('of another secret, or damaged, are not believed', async () => {
    const disk = await JournaledDatabase.open()
    const world = await filledWorld(disk)
    await world.keeper.close()
    const otherHasher: typeof hasher = (...parts) => hasher(Buffer.of(1), ...parts)
    const other = await openWorld(await disk.afterCrash(0), { hasher: otherHasher })
    assert.ok([0, 1, 2, 3].every((p) => !other.keeper.isReady(p)))
    await atRest(other)
    assert.notDeepEqual(leavesOfTrees(other.trees), leavesOfTrees(world.trees))
    assert.deepEqual(await other.keeper.verify(0), [])

    const damaged = await disk.afterCrash(0)
    await flip(damaged, checkpointRowKey(2))
    const next = await openWorld(damaged)
    assert.deepEqual(
      [0, 1, 2, 3].map((p) => next.keeper.isReady(p)),
      [true, true, false, true]
    )
    await assertExact(next)
  })
})

test('a checkpoint of another secret is not believed later either, when that secret is back', async () => {
  const disk = await JournaledDatabase.open()
  const world = await filledWorld(disk)
  await world.keeper.close()
  const otherHasher: typeof hasher = (...parts) => hasher(Buffer.of(1), ...parts)
  const otherDisk = await disk.afterCrash(0)
  const other = await openWorld(otherDisk, { hasher: otherHasher })
  put(other.store, key(9), writeOf('meanwhile'))
  await other.store.drained()
  await assertExact(await openWorld(await otherDisk.afterCrash(0)))
})

test('all of it holds on LevelDB', async (t) => {
  const { database } = await temporaryLevel(t)
  const world = await openWorld(database, { partitions: 8 })
  const many = (i: number) => keyWithToken(((i % 3000) * 2654435761) % 2 ** 32, `key ${i % 3000}`)
  for (let i = 0; i < 9000; i++) {
    put(world.store, many(i * 7), writeOf(i % 10 === 0 ? null : `${i}`, { coversAllHeld: true }))
    if (i % 500 === 0) await world.store.drained()
    if (i % 2000 === 0) void world.keeper.verify((i / 2000) % 8)
    if (i % 1500 === 0) await world.keeper.checkpointSome()
  }
  await assertExact(world)
  assert.equal(await scrubRound(world, 500), 0)
  assert.deepEqual(world.mismatches, [])
  // As after a kill: the same files, of which another process only knows what is on disk.
  const next = await openWorld(database, { partitions: 8 })
  await atRest(next)
  assert.deepEqual(leavesOfTrees(next.trees), leavesOfTrees(world.trees))
})
