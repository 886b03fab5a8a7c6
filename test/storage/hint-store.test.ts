import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Log } from '../../core/ports.ts'
import type { Database } from '../../storage/database.ts'
import { allHints, hintRowKey } from '../../storage/hint-row.ts'
import { HintStore, type HintStoreOptions } from '../../storage/hint-store.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { Store } from '../../storage/store.ts'
import { hashObject, merge, type Versions } from '../../storage/version.ts'
import { covers, formatDot, incarnationOf } from '../../storage/version-vector.ts'
import { lawRuns } from '../core/law-runs.ts'
import { causalHistories, dotsOf } from './causal-history.ts'
import { HeldDatabase } from './held-database.ts'
import { keyOf, memoryDatabase, openStore, put, writeOf } from './open-store.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
const targets = ['n1', 'n2', 'another']
const keys = ['a', 'b', 'c', 'd'].map(keyOf)

interface Opened {
  readonly store: Store
  readonly hints: HintStore
  readonly missed: string[]
  readonly settle: () => Promise<void>
  readonly endTurn: () => void
  nowMs: number
}

async function open(database: Database, options: Partial<HintStoreOptions> = {}): Promise<Opened> {
  const missed: string[] = []
  let noteDamage = (_row: Buffer, _reason: string) => {}
  const opened = await openStore(database, {
    events: {
      onBatch() {},
      onDamage() {},
      onIncarnation() {},
      onFailure() {},
      onAsideDamage: (row, reason) => noteDamage(row, reason)
    }
  })
  const { store, settle, endTurn } = opened
  const state = { store, settle, endTurn, missed, nowMs: 1000 }
  const hints = await HintStore.open({
    store,
    clock: { now: () => state.nowMs, monotonic: () => 0 },
    log: silent,
    bytesPerTargetMax: 1e9,
    modeOf: () => 'siblings',
    partitionOf: (key) => key.key[0] ?? 0,
    onRangeMissed: (partition, target) => missed.push(`${target}/${partition}`),
    followDamage: (callback) => {
      noteDamage = callback
    },
    ...options
  })
  await hints.ready
  return Object.assign(state, { hints })
}

/** What all the hints say, read one by one: what the sums have to come to. */
async function recount(hints: HintStore) {
  const backlog = new Map<string, { count: number; bytes: number }>()
  const dots = new Map<string, number>()
  for (const target of targets) {
    for (let from: Buffer | null = null; ; ) {
      const slice = await hints.walk(target, from, 2)
      for (const { key, bytes, versions } of slice.hints) {
        const known = backlog.get(target) ?? { count: 0, bytes: 0 }
        backlog.set(target, { count: known.count + 1, bytes: known.bytes + bytes })
        for (const { dot } of versions) {
          const id = `${key.key[0]} ${incarnationOf(dot.actor)}`
          dots.set(id, Math.min(dots.get(id) ?? Number.POSITIVE_INFINITY, dot.counter))
        }
      }
      from = slice.next
      if (from === null) break
    }
  }
  return { backlog, dots }
}

function sumsOf(hints: HintStore, incarnations: ReadonlySet<string>) {
  const backlog = new Map(
    hints.backlog().map(({ target, count, bytes }) => [target, { count, bytes }])
  )
  const dots = new Map<string, number>()
  for (const [partition, least] of hints.ownDotsByPartition(incarnations) ?? []) {
    for (const [incarnation, counter] of least) dots.set(`${partition} ${incarnation}`, counter)
  }
  return { backlog, dots }
}

const idOf = (target: string, key: ObjectKey) => `${target} ${key.id}`

function isKnownTo(held: Versions, version: Versions[number]): boolean {
  return held.some(
    ({ dot, past }) => formatDot(dot) === formatDot(version.dot) || covers(past, version.dot)
  )
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'acknowledge', 'late', 'write', 'reopen', 'crash'),
    target: fc.nat({ max: targets.length - 1 }),
    key: fc.nat({ max: keys.length - 1 }),
    state: fc.nat({ max: 100 })
  }),
  { maxLength: 40 }
)

describe('hints', () => {
  it('leave only when the very object that they hold was acknowledged, through crashes', async () => {
    const law = fc.asyncProperty(causalHistories('siblings'), steps, async (history, list) => {
      const states = history.states.filter((versions) => versions.length > 0)
      if (states.length === 0) return
      const disk = await memoryDatabase()
      let database = new HeldDatabase(disk)
      let at = await open(database)
      database.holding = true
      /** What was durable, and nobody has acknowledged since. */
      const owed = new Map<string, Versions>()
      const acknowledgedAt = new Map<string, number>()
      for (const [now, step] of list.entries()) {
        const target = targets[step.target] ?? ''
        const key = keys[step.key] ?? keyOf('a')
        const id = idOf(target, key)
        const versions = states[step.state % states.length] ?? []
        if (step.kind === 'put') {
          const stored = at.hints.put(target, key, versions)
          assert.ok(stored.kind === 'stored')
          const owe = () => {
            if ((acknowledgedAt.get(id) ?? -1) > now) return
            owed.set(id, merge(owed.get(id) ?? [], versions, 'siblings'))
          }
          stored.durable.then(owe, () => {})
        } else if (step.kind === 'acknowledge' || step.kind === 'late') {
          const held = at.hints.get(target, key)
          const object = step.kind === 'late' ? versions : (held?.versions ?? [])
          const same = held !== null && Buffer.compare(hashObject(object), held.objectHash) === 0
          const answer = at.hints.deleteIfUnchanged(target, key, hashObject(object))
          assert.equal(answer, held === null ? 'gone' : same ? 'deleted' : 'changed')
          if (same) owed.delete(id)
          if (same) acknowledgedAt.set(id, now)
        } else if (step.kind === 'write') {
          at.endTurn()
          await database.held.shift()?.release()
          await Promise.resolve()
        } else {
          database.holding = false
          if (step.kind === 'reopen') {
            at.endTurn()
            for (const batch of database.held.splice(0)) await batch.release()
            await at.settle()
          }
          database = new HeldDatabase(disk)
          at = await open(database)
          database.holding = true
        }
        for (const target of targets) {
          for (const key of keys) {
            const held = at.hints.get(target, key)?.versions ?? []
            const wanted = owed.get(idOf(target, key)) ?? []
            for (const version of wanted) assert.ok(isKnownTo(held, version), step.kind)
          }
        }
        assert.ok(at.hints.isReady)
      }
      const incarnations = new Set(history.states.flat().map(({ dot }) => incarnationOf(dot.actor)))
      assert.deepEqual(sumsOf(at.hints, incarnations), await recount(at.hints))
    })
    await fc.assert(law, lawRuns(150))
  })

  it('are counted exactly while they change', async () => {
    const law = fc.asyncProperty(causalHistories('siblings'), steps, async (history, list) => {
      const states = history.states.filter((versions) => versions.length > 0)
      if (states.length === 0) return
      const disk = await memoryDatabase()
      const before = await open(disk)
      const apply = (hints: HintStore, from: number, to: number) => {
        for (const { kind, target, key, state } of list.slice(from, to)) {
          const name = targets[target] ?? ''
          const objectKey = keys[key] ?? keyOf('a')
          const held = hints.get(name, objectKey)
          if (kind === 'acknowledge' && held !== null) {
            hints.deleteIfUnchanged(name, objectKey, held.objectHash)
          } else hints.put(name, objectKey, states[state % states.length] ?? [])
        }
      }
      const half = list.length >> 1
      apply(before.hints, 0, half)
      await before.settle()
      const { store, endTurn } = await openStore(disk)
      const hints = await HintStore.open({
        store,
        clock: { now: () => 0, monotonic: () => 0 },
        log: silent,
        bytesPerTargetMax: 1e9,
        modeOf: () => 'siblings',
        partitionOf: (key) => key.key[0] ?? 0,
        onRangeMissed() {},
        followDamage() {}
      })
      for (let at = half; at < list.length; at++) {
        apply(hints, at, at + 1)
        if (at % 3 === 0) endTurn()
        await Promise.resolve()
      }
      await hints.ready
      const all = new Set(history.states.flat().map(({ dot }) => incarnationOf(dot.actor)))
      assert.deepEqual(sumsOf(hints, all), await recount(hints))
    })
    await fc.assert(law, lawRuns(150))
  })

  it('are counted exactly where one changes right after its slice was read', async () => {
    const disk = await memoryDatabase()
    const before = await open(disk)
    const [first, second] = await twoObjects()
    for (const key of keys) before.hints.put('n1', key, first)
    await before.settle()
    const { store } = await openStore(disk)
    let hints: HintStore | null = null
    let changed = false
    const options: HintStoreOptions = {
      store: {
        aside: (row) => store.aside(row),
        changeAside: (changes) => store.changeAside(changes),
        checkRoom: () => store.checkRoom(),
        walkAside: async (range, limit) => {
          const slice = await store.walkAside(range, limit)
          if (hints !== null && !changed) {
            changed = true
            const held = hints.get('n1', keyOf('a'))
            hints.deleteIfUnchanged('n1', keyOf('a'), held?.objectHash ?? Buffer.alloc(0))
            hints.put('n1', keyOf('b'), second)
            hints.put('n2', keyOf('b'), second)
          }
          return slice
        }
      },
      clock: { now: () => 0, monotonic: () => 0 },
      log: silent,
      bytesPerTargetMax: 1e9,
      modeOf: () => 'siblings',
      partitionOf: (key) => key.key[0] ?? 0,
      onRangeMissed() {},
      followDamage() {}
    }
    hints = await HintStore.open(options)
    await hints.ready
    assert.ok(changed)
    const all = new Set([...first, ...second].map(({ dot }) => incarnationOf(dot.actor)))
    assert.deepEqual(sumsOf(hints, all), await recount(hints))
  })

  it('have a bound for each target, and nothing that is held goes when it is reached', async () => {
    const at = await open(await memoryDatabase(), { bytesPerTargetMax: 400 })
    const [first, second] = await twoObjects()
    assert.equal(at.hints.put('n1', keyOf('a'), first).kind, 'stored')
    assert.equal(at.hints.put('n1', keyOf('b'), large(second)).kind, 'overflow')
    assert.equal(at.hints.counters.overflowed, 1)
    assert.equal(at.hints.get('n1', keyOf('b')), null)
    assert.deepEqual(dotsOf(at.hints.get('n1', keyOf('a'))?.versions ?? []), dotsOf(first))
    assert.equal(at.hints.put('n2', keyOf('b'), first).kind, 'stored', 'another target has room')
  })

  it('keep the time at which the target began to miss something', async () => {
    const at = await open(await memoryDatabase())
    const [first, second] = await twoObjects()
    at.hints.put('n1', keyOf('a'), first)
    at.nowMs = 5000
    at.hints.put('n1', keyOf('a'), second)
    assert.equal(at.hints.oldestMs('n1'), 4000)
    at.nowMs = 10
    assert.equal(at.hints.oldestMs('n1'), 0, 'a clock that went back')
  })

  it('answer for every target that they are kept for', async () => {
    const at = await open(await memoryDatabase())
    const [first, second] = await twoObjects()
    at.hints.put('n1', keyOf('a'), first)
    at.hints.put('n2', keyOf('a'), second)
    at.hints.put('n2', keyOf('b'), second)
    assert.deepEqual(dotsOf(at.hints.heldFor(keyOf('a'))), dotsOf(merge(first, second, 'siblings')))
    assert.deepEqual(at.hints.heldFor(keyOf('c')), [])
  })

  it('that are damaged are counted, dropped, and their partition is marked', async () => {
    const disk = await memoryDatabase()
    const before = await open(disk)
    const [first, second] = await twoObjects()
    before.hints.put('n1', keyOf('a'), first)
    before.hints.put('n1', keyOf('b'), second)
    await before.settle()
    await spoil(disk, hintRowKey('n1', keyOf('a')))
    assert.equal(before.hints.get('n1', keyOf('a')), null)
    await before.settle()
    await before.hints.ready
    assert.equal(before.hints.counters.damaged, 1)
    assert.deepEqual(before.missed, [`n1/${'a'.charCodeAt(0)}`])
    assert.equal(before.hints.backlog()[0]?.count, 1)
    assert.equal((await disk.slice(allHints.from, allHints.to, 10)).length, 1)
  })

  it('that are damaged when the node starts are told like others, also the first of a target', async () => {
    const disk = await memoryDatabase()
    const before = await open(disk)
    const [first, second] = await twoObjects()
    before.hints.put('n1', keyOf('a'), first)
    before.hints.put('n1', keyOf('b'), second)
    before.hints.put('n2', keyOf('c'), second)
    await before.settle()
    for (const row of [hintRowKey('n1', keyOf('a')), hintRowKey('n2', keyOf('c'))]) {
      await spoil(disk, row)
    }
    const after = await open(disk)
    await after.settle()
    assert.equal(after.hints.counters.damaged, 2)
    assert.deepEqual(
      after.missed,
      ['a', 'c'].map((key, i) => `n${i + 1}/${key.charCodeAt(0)}`)
    )
    assert.deepEqual(after.hints.targets, ['n1'])
    assert.equal(after.hints.backlog()[0]?.count, 1)
    assert.equal((await disk.slice(allHints.from, allHints.to, 10)).length, 1)
  })

  it('of targets with names of any length and bytes stay apart', async () => {
    const disk = await memoryDatabase()
    const at = await open(disk)
    const [first] = await twoObjects()
    const names = ['n', 'nn', '\u00ff', 'n\u0000', 'x'.repeat(255)]
    for (const name of names) at.hints.put(name, keyOf('a'), first)
    await at.settle()
    for (const name of names) {
      const { hints, next } = await at.hints.walk(name, null, 10)
      assert.deepEqual([hints.length, hints[0]?.target, next], [1, name, null])
    }
    const again = await open(disk)
    assert.deepEqual(new Set(again.hints.targets), new Set(names))
    assert.equal(again.hints.backlog().length, names.length)
  })
})

async function spoil(disk: Database, row: Buffer): Promise<void> {
  const bytes = disk.getSync(row)
  assert.ok(bytes !== undefined)
  const spoilt = Buffer.from(bytes)
  spoilt[spoilt.length - 1] = (spoilt[spoilt.length - 1] ?? 0) ^ 1
  await disk.batch([{ type: 'put', key: row, value: spoilt }], { sync: true })
}

/** Two writes of one key that had not seen each other. */
async function twoObjects(): Promise<[Versions, Versions]> {
  const one = await openStore(await memoryDatabase())
  const two = await openStore(await memoryDatabase())
  return [
    put(one.store, keyOf('a'), writeOf('first')).result.versions,
    put(two.store, keyOf('a'), writeOf('second')).result.versions
  ]
}

function large(versions: Versions): Versions {
  return versions.map((version) => ({ ...version, size: 1000, value: Buffer.alloc(1000) }))
}
