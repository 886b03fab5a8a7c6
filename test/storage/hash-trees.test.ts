import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { deriveKeys } from '../../core/secrets.ts'
import { HashTrees } from '../../storage/hash-trees.ts'
import { type LeafListing, listLeaves } from '../../storage/leaf-listing.ts'
import type { TreeSnapshot } from '../../storage/tree-snapshot.ts'
import { lawRuns } from '../core/law-runs.ts'
import { memoryDatabase, put, take, writeOf } from './open-store.ts'
import { atRest, hasher, keyWithToken, openWorld, slowSlices } from './tree-world.ts'

const partitions = 2
const digest = fc.uint8Array({ minLength: 16, maxLength: 16 })
const objects = fc.uniqueArray(fc.record({ token: fc.nat({ max: 2 ** 31 }), hash: digest }), {
  selector: ({ token }) => token,
  maxLength: 30
})
const keyOf = (token: number) => keyWithToken(token * 2, `key ${token}`)

function treesOf(
  rows: readonly { readonly token: number; readonly hash: Uint8Array }[]
): HashTrees {
  const trees = new HashTrees({ partitions, hasher })
  for (const { token, hash } of rows) trees.change(keyOf(token), null, hash)
  return trees
}

function rootsOf(trees: HashTrees): string[] {
  return Array.from({ length: partitions }, (_, p) => Buffer.from(trees.root(p)).toString('hex'))
}

/** All digests of a snapshot, top down. */
function digestsOf(snapshot: TreeSnapshot): string[] {
  const digests: string[] = []
  for (const [level, count] of [1, 16, 256, 1024].entries()) {
    for (let i = 0; i < count; i++) {
      digests.push(Buffer.from(snapshot.node(level, i)).toString('hex'))
    }
  }
  return digests
}

describe('the root of a hash tree', () => {
  test('does not depend on the order in which rows came, changed and went', () => {
    const law = fc.property(objects, fc.array(fc.nat()), digest, (rows, order, other) => {
      const shuffled = rows
        .map((row, i) => ({ row, place: order[i % Math.max(1, order.length)] ?? 0 }))
        .sort((a, b) => a.place - b.place)
        .map(({ row }) => row)
      const detour = new HashTrees({ partitions, hasher })
      for (const { token } of shuffled) detour.change(keyOf(token), null, other)
      for (const { token, hash } of rows) detour.change(keyOf(token), other, hash)
      assert.deepEqual(rootsOf(detour), rootsOf(treesOf(rows)))
      for (const { token, hash } of shuffled) detour.change(keyOf(token), hash, null)
      assert.deepEqual(rootsOf(detour), rootsOf(treesOf([])))
    })
    fc.assert(law, lawRuns(60))
  })

  test('is another one for another set of rows', () => {
    const law = fc.property(objects, fc.nat(), digest, (rows, place, other) => {
      const row = rows[place % Math.max(1, rows.length)]
      fc.pre(row !== undefined && !Buffer.from(row.hash).equals(other))
      const without = rows.filter((r) => r !== row)
      const changed = [...without, { token: row?.token ?? 0, hash: other }]
      const roots = [rows, without, changed].map((set) => rootsOf(treesOf(set)).join())
      assert.equal(new Set(roots).size, 3)
    })
    fc.assert(law, lawRuns(60))
  })

  test('of equal rows is another one under another secret', async () => {
    const { tree } = await deriveKeys('trees', 'another secret')
    const rows = [{ token: 1, hash: new Uint8Array(16) }]
    const others = new HashTrees({ partitions, hasher: tree })
    others.change(keyOf(1), null, new Uint8Array(16))
    assert.notEqual(rootsOf(others)[0], rootsOf(treesOf(rows))[0])
  })

  test('is the same where only pasts have changed', async () => {
    const a = await openWorld(await memoryDatabase())
    const b = await openWorld(await memoryDatabase())
    const key = keyWithToken(7, 'key')
    const first = put(a.store, key, writeOf('one')).result
    const second = put(a.store, key, writeOf('two', { context: first.context })).result
    take(b.store, key, second.versions)
    assert.deepEqual(b.trees.root(0), a.trees.root(0))
    b.store.mutate(key, (row) => {
      const versions = (row?.versions ?? []).map((version) => ({ ...version, past: new Map() }))
      return { next: { versions, mintActor: null }, result: null }
    })
    assert.deepEqual(b.trees.root(0), a.trees.root(0))
  })
})

describe('a snapshot', () => {
  test('stays what it was, and leads from the root to the leaves that differ', () => {
    const law = fc.property(objects, objects, (before, after) => {
      const trees = treesOf(before)
      const old = trees.snapshot(0)
      const remembered = digestsOf(old)
      const bytes = Buffer.concat(Array.from({ length: 1024 }, (_, i) => old.leafBytes(i)))
      for (const { token, hash } of before) trees.change(keyOf(token), hash, null)
      for (const { token, hash } of after) trees.change(keyOf(token), null, hash)
      const now = trees.snapshot(0)
      assert.notEqual(now.id, old.id)
      assert.deepEqual(digestsOf(old), remembered)
      assert.deepEqual(
        Buffer.concat(Array.from({ length: 1024 }, (_, i) => old.leafBytes(i))),
        bytes
      )
      assert.equal(old.keys, before.filter(({ token }) => token < 2 ** 30).length)

      const differing: number[] = []
      for (let leaf = 0; leaf < 1024; leaf++) {
        if (!old.leafBytes(leaf).equals(now.leafBytes(leaf))) differing.push(leaf)
      }
      assert.deepEqual(descend(old, now, 0, 0), differing)
    })
    fc.assert(law, lawRuns(40))
  })

  test('has no nodes but those of its levels', () => {
    const snapshot = treesOf([]).snapshot(0)
    for (const [level, index] of [
      [0, 1],
      [1, 16],
      [2, 256],
      [3, 1024],
      [4, 0],
      [1, -1],
      [2, 0.5]
    ] as const) {
      assert.throws(() => snapshot.node(level, index), `node ${index} of level ${level}`)
    }
    assert.throws(() => snapshot.children(3, 0))
    assert.equal(snapshot.children(0, 0).length, 16)
    assert.equal(snapshot.children(2, 255).length, 4)
  })
})

/** The leaves that differ, found the way an exchange finds them. */
function descend(a: TreeSnapshot, b: TreeSnapshot, level: number, index: number): number[] {
  if (Buffer.from(a.node(level, index)).equals(b.node(level, index))) return []
  if (level === 3) return [index]
  const ours = a.children(level, index)
  const theirs = b.children(level, index)
  return ours.flatMap((child, i) =>
    Buffer.from(child).equals(theirs[i] ?? new Uint8Array())
      ? []
      : descend(a, b, level + 1, index * ours.length + i)
  )
}

describe('a listing', () => {
  const key = (i: number) => keyWithToken(2 ** 30 + i, `key ${i}`)

  test('of a large leaf is exact for one moment, though writes go on', async () => {
    const world = await openWorld(slowSlices(await memoryDatabase()))
    const { store, trees } = world
    const { partition, leaf } = trees.leafOf(key(0))
    for (let i = 0; i < 900; i++) put(store, key(i), writeOf('before'))
    await atRest(world)
    let listing: LeafListing | null = null
    const listed = listLeaves(store, trees, partition, [leaf]).then(([result]) => {
      listing = result ?? null
    })
    let turns = 0
    for (; listing === null; turns++) {
      // Half of the changes are far behind the place that the listing has come to.
      const i = turns % 2 === 0 ? (turns * 7) % 200 : (turns * 101) % 1200
      if (turns % 3 === 0) store.mutate(key(i), () => ({ next: none, result: null }))
      else put(store, key(i), writeOf(`${turns}`, { coversAllHeld: true }))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await listed
    assert.ok(turns > 10, 'the listing took several slices')
    const { entries, agrees } = listing as LeafListing
    assert.ok(agrees)
    assert.deepEqual(
      entries.map(({ key: { id } }) => id),
      entries.map(({ key: { id } }) => id).sort()
    )
  })

  test('says what a leaf holds, tombstones included, and under which stamp', async () => {
    const { store, trees, keeper } = await openWorld(await memoryDatabase())
    const { partition, leaf } = trees.leafOf(key(0))
    put(store, key(0), writeOf('x'.repeat(5000)))
    await store.drained()
    put(store, key(1), writeOf(null))
    const listing = await keeper.list(partition, leaf)
    assert.deepEqual(
      listing.entries.map((entry) => [entry.key.id, entry.versions[0]?.value]),
      [
        [key(0).id, null],
        [key(1).id, null]
      ]
    )
    assert.equal(listing.stampedAt, trees.stamp(partition, leaf))
    assert.ok(listing.agrees)
    put(store, key(1), writeOf('again'))
    assert.notEqual(listing.stampedAt, trees.stamp(partition, leaf))
  })
})

const none = { versions: [], mintActor: null }
