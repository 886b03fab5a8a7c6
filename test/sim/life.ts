import type { Node } from '../../server/node.ts'
import { parseHintRowKey } from '../../storage/hint-row.ts'
import type { Version } from '../../storage/version.ts'
import { watchArrivals } from './arrival-check.ts'
import { falseClaims, lostWithHint } from './claim-check.ts'
import { CollectedTombstones } from './collected-tombstones.ts'
import { keyNamed, writesOnDisk } from './disk-inspection.ts'
import { dotsWithTwoPayloads, valuesOfNothing } from './disk-judgement.ts'
import { FaultInjector } from './fault-injector.ts'
import { HealingCheck, treeErrors } from './healing-check.ts'
import type { KeyHistory, WriteId } from './key-history.ts'
import {
  describeParameters,
  drawParameters,
  type LifeParameters,
  settingsOf,
  withCalm
} from './life-parameters.ts'
import { SimCluster } from './sim-cluster.ts'
import type { SimNode } from './sim-node.ts'
import { probeWithOldEpoch, probeWithOldSnapshots } from './stale-peer.ts'
import { Workload } from './workload.ts'
import { bucket, idOf } from './written-values.ts'

/** Something that must never happen, and happened. */
export interface Violation {
  readonly atMs: number
  readonly invariant: string
  readonly detail: string
  /** The history of the key, as lines for people; empty where no key is concerned. */
  readonly timeline: readonly string[]
}

export interface LifeReport {
  readonly seed: number
  readonly parameters: string
  readonly violations: readonly Violation[]
  readonly virtualMs: number
  readonly operations: number
  readonly acknowledged: number
  readonly failed: number
  readonly faults: number
  /** Digest of every message and its moment: equal seeds give equal digests. */
  readonly traceDigest: string
}

const readyLimitMs = 120_000
const operationLimitMs = 60_000
const boundsEveryMs = 5000
const claimsEveryMs = 1000
/** After the last fault; what would be wrong later is still so at the end. */
const claimsAfterMs = 60_000
const triesMax = 3
const repairMs = 10_000
const violationsMax = 5
const pendingBytesMax = 64 * 1024 * 1024
const inFlightMax = 4096

/** One life of a cluster: faults and clients, then no more faults, then the reckoning. */
export async function live(
  seed: number,
  overrides: Partial<LifeParameters> = {}
): Promise<LifeReport> {
  const life = new Life(withCalm({ ...drawParameters(seed), ...overrides }))
  await life.run()
  return life.report()
}

class Life {
  readonly #parameters: LifeParameters
  readonly #cluster: SimCluster
  readonly #faults: FaultInjector
  readonly #workload: Workload
  readonly #healing: HealingCheck
  readonly #collected: CollectedTombstones
  readonly #violations: Violation[] = []

  constructor(parameters: LifeParameters) {
    this.#parameters = parameters
    const { latencyMaxMs, diskMaxMs } = parameters
    this.#cluster = new SimCluster({
      seed: parameters.seed,
      nodes: parameters.nodes,
      partitions: parameters.partitions,
      settings: settingsOf(parameters),
      latencyMs: { minMs: Math.min(0.2, latencyMaxMs / 10), maxMs: latencyMaxMs },
      diskMs: { min: 0.05, max: diskMaxMs },
      clockOffsetMsMax: parameters.clockOffsetMaxMs,
      driftPpmMax: parameters.driftPpmMax
    })
    this.#faults = new FaultInjector(this.#cluster, parameters)
    this.#collected = new CollectedTombstones(parameters.mode)
    this.#workload = new Workload({
      collected: this.#collected,
      cluster: this.#cluster,
      parameters,
      violation: (invariant, detail, history) => this.#violate(invariant, detail, history),
      copiesLost: () => this.#copiesLost,
      onAcknowledged: (history) => this.#checkCopies(history)
    })
    this.#healing = new HealingCheck({ cluster: this.#cluster, ...parameters.healing })
    this.#cluster.onNodeUp = (node) => {
      this.#watchArrivals(node)
      this.#checkAllCopies()
      this.#checkTrees(node)
      this.#workload.askReturned(node)
    }
    for (const { id, disk } of this.#cluster.nodes) {
      disk.onHintGone = (row, before) => this.#checkHintGone(id, row, before)
      disk.onTombstoneGone = (...row) => {
        const { nowMs } = this.#cluster.time
        for (const [name, text] of this.#collected.note(nowMs, ...row))
          this.#workload.histories.get(name)?.note(nowMs, text)
      }
    }
  }

  async run(): Promise<void> {
    const { time } = this.#cluster
    if (!(await this.#cluster.start(readyLimitMs))) {
      return this.#violate('liveness', 'the cluster did not get ready')
    }
    await this.#setMode()
    this.#faults.start()
    this.#workload.start()
    this.#watchBounds()
    this.#watchClaims()
    await time.run(this.#parameters.durationMs)
    this.#workload.stop()
    this.#faults.heal()
    if (this.#violations.length > 0) return
    await this.#liveness()
  }

  report(): LifeReport {
    const { operations, acknowledged, failed } = this.#workload.report
    return {
      seed: this.#parameters.seed,
      parameters: describeParameters(this.#parameters),
      violations: this.#violations,
      virtualMs: this.#cluster.time.nowMs,
      operations,
      acknowledged,
      failed,
      faults: this.#faults.events.length,
      traceDigest: this.#cluster.network.traceDigest
    }
  }

  async #setMode(): Promise<void> {
    if (this.#parameters.mode === 'siblings') return
    const properties = { conflict: 'lww', ttlSeconds: null, r: null, w: null } as const
    this.#nodes[0]?.cluster.setBucket(bucket, properties)
    const known = () =>
      this.#nodes.every(({ cluster }) => cluster.propertiesOf(bucket).conflict === 'lww')
    if (!(await this.#cluster.time.runUntil(known, readyLimitMs))) {
      this.#violate('liveness', 'the properties of a bucket did not reach every node')
    }
  }

  /** Faults have ended: every operation succeeds again within bounded time, and nothing acknowledged is gone. */
  async #liveness(): Promise<void> {
    const { time } = this.#cluster
    if (!(await this.#cluster.untilReady(readyLimitMs))) {
      return this.#violate(
        'liveness',
        `not all nodes are ready ${readyLimitMs} ms after the last fault`
      )
    }
    await time.runUntil(() => this.#workload.active === 0, operationLimitMs)
    if (this.#workload.active > 0) this.#violate('liveness', 'an operation never ended')
    await this.#heal()
    this.#checkClaims()
    const refused = await this.#cluster.settle(probeWithOldEpoch(this.#cluster))
    if (!refused)
      this.#violate('epoch', 'a node took a write from a peer that goes by another ring')
    const keptTo = await this.#cluster.settle(probeWithOldSnapshots(this.#cluster))
    if (!keptTo)
      this.#violate('snapshots', 'a node compared itself by other snapshots than it had named')
    this.#checkAllCopies()
    for (const history of this.#workload.histories.values()) {
      if (this.#violations.length >= violationsMax) return
      await this.#reckon(history)
    }
    const disks = this.#cluster.nodes
    for (const detail of dotsWithTwoPayloads(disks)) this.#violate('dots', detail)
    if (this.#faults.tampered === 0)
      for (const detail of valuesOfNothing(disks)) this.#violate('leak', detail)
    this.#checkBounds(0)
  }

  /** Before anybody reads or writes again: replicas become equal by themselves, and then silent. */
  async #heal(): Promise<void> {
    const hasForgotten = this.#faults.forgotten
    const wrong = await this.#healing.judge({ untilMs: this.#parameters.lifeMs, hasForgotten })
    for (const { invariant, detail } of wrong) this.#violate(invariant, detail)
    if (wrong.length === 0 && !hasForgotten) await this.#checkQuarantine()
  }

  /** What is set aside was overwritten or deleted in truth, unless a disk has lost something. */
  async #checkQuarantine(): Promise<void> {
    for (const { id, arriving } of this.#nodes) {
      const aside = await this.#cluster.settle(arriving.quarantine.list(100))
      for (const { key, version } of aside) {
        const history = this.#workload.histories.get(Buffer.from(key.key).toString())
        if (version.value === null || history?.mayBeOverwritten(idOf(version.value))) continue
        this.#violate('quarantine', `${id} has set aside what nothing has overwritten`, history)
      }
    }
  }

  #watchArrivals({ node }: SimNode): void {
    if (node === null) return
    watchArrivals(node, {
      mode: this.#parameters.mode,
      tampered: () => this.#faults.tampered,
      violation: (key, detail) => {
        const name = Buffer.from(key.key).toString()
        this.#violate('whole', detail, this.#workload.histories.get(name))
      }
    })
  }

  /** After a start the trees say what the rows say, whatever the end before was like. */
  #checkTrees({ id, node, lives }: SimNode): void {
    if (node === null || (this.#faults.tampered > 0 && id === this.#faults.victim)) return
    void treeErrors(node).then(
      ([wrong]) => {
        const isSame = this.#cluster.nodes.some((other) => other.id === id && other.lives === lives)
        if (wrong === undefined || !isSame) return
        this.#violate('trees', `after a start a tree of ${id} differs from its rows: ${wrong}`)
      },
      () => {}
    )
  }

  /** Reads the key from all replicas, settles it with one write, and sees that write on every node. */
  async #reckon(history: KeyHistory): Promise<void> {
    for (let tries = 1; tries <= triesMax; tries++) {
      const reader = this.#cluster.random.pick(this.#nodes)
      const settled = await this.#settleKey(reader, history)
      if (settled.kind === 'settled') return this.#seeOnAll(history, settled.id)
      if (tries === triesMax) this.#violate('liveness', settled.what, history)
      // A damaged replica is given a copy meanwhile, and it gets round that a disk is not full any more.
      await this.#cluster.time.advance(repairMs)
    }
  }

  async #settleKey(
    reader: Node,
    history: KeyHistory
  ): Promise<{ kind: 'settled'; id: WriteId } | { kind: 'failed'; what: string }> {
    const cluster = this.#cluster
    const workload = this.#workload
    const shown = await cluster.settle(workload.read(reader, history, 'all', 0), operationLimitMs)
    if (shown === null) {
      return { kind: 'failed', what: 'a read from all replicas failed after the faults' }
    }
    for (const detail of history.judgeEnd(shown.ids, this.#copiesLost)) {
      this.#violate('survival', detail, history)
    }
    const seen = history.closure(shown.ids)
    const record = workload.beginAfter(reader, history, 'put', seen, false)
    const put = workload.put(reader, history, record, shown.context, 'all')
    const isWritten = await cluster.settle(put)
    if (isWritten) return { kind: 'settled', id: record.id }
    return { kind: 'failed', what: 'a write to all replicas failed after the faults' }
  }

  async #seeOnAll(history: KeyHistory, id: WriteId): Promise<void> {
    for (const node of this.#nodes) {
      const seen = await this.#cluster.settle(this.#workload.read(node, history, 1, 0))
      if (seen?.ids.length === 1 && seen.ids[0] === id) continue
      const shows = seen?.ids.join(', ') || 'nothing'
      const detail = `${node.id} shows ${shows} after write ${id} reached all replicas`
      this.#violate('convergence', detail, history)
    }
  }

  // With `os`, a crash loses what was acknowledged, on any number of nodes; otherwise only the victim forgets.
  get #copiesLost(): number {
    if (!this.#faults.forgotten) return 0
    return this.#parameters.durability === 'os' ? Number.POSITIVE_INFINITY : 1
  }

  #checkAllCopies(): void {
    for (const history of this.#workload.histories.values()) this.#checkCopies(history)
  }

  /** What was acknowledged is on that many disks, and a power failure would leave it there. */
  #checkCopies(history: KeyHistory): void {
    if (this.#parameters.durability === 'os') return
    const key = keyNamed(history.name)
    const disks = this.#cluster.nodes.map(({ disk }) => writesOnDisk(disk, key))
    for (const detail of history.judgeCopies(disks, this.#copiesLost)) {
      this.#violate('copies', detail, history)
    }
  }

  /** What a node has kept for another goes only once it is safe elsewhere, as long as no disk has lost anything. */
  #checkHintGone(id: string, row: Buffer, bytes: Buffer): void {
    if (this.#faults.forgotten) return
    const { mode, healing, lifeMs } = this.#parameters
    const hintsExpire = healing.hintAgeMs < lifeMs
    for (const detail of lostWithHint(this.#cluster.nodes, { row, bytes }, { mode, hintsExpire })) {
      const name = Buffer.from(parseHintRowKey(row).key.key).toString()
      this.#violate('hints', `at ${id} ${detail}`, this.#workload.histories.get(name))
    }
  }

  #watchBounds(): void {
    this.#cluster.time.schedule(() => {
      this.#checkBounds(inFlightMax)
      if (this.#cluster.time.nowMs < this.#parameters.durationMs) this.#watchBounds()
    }, boundsEveryMs)
  }

  #watchClaims(): void {
    this.#cluster.time.schedule(() => {
      this.#checkClaims()
      this.#checkNobodyIsBehind()
      if (this.#cluster.time.nowMs < this.#parameters.durationMs + claimsAfterMs)
        this.#watchClaims()
    }, claimsEveryMs)
  }

  /** What nodes take to be on all replicas is there, as long as no disk has lost anything. */
  #checkClaims(): void {
    if (this.#faults.forgotten) return
    for (const history of this.#workload.histories.values()) {
      const key = keyNamed(history.name)
      const isBuried = (version: Version) => this.#collected.hasBuried(history.name, version)
      const { mode } = this.#parameters
      for (const detail of falseClaims(this.#cluster.nodes, key, { mode, isBuried })) {
        this.#violate('claims', detail, history)
      }
    }
  }

  /** Whoever has lost nothing can answer for all that its peers have proven, whatever ended in the middle. */
  #checkNobodyIsBehind(): void {
    if (this.#faults.forgotten || this.#faults.tampered > 0) return
    for (const { id, arriving, cluster } of this.#nodes) {
      for (let partition = 0; partition < cluster.ring.partitions; partition++) {
        if (!arriving.watermarks.isBehind(partition)) continue
        this.#violate('behind', `${id} takes its disk for an old copy, in partition ${partition}`)
        return
      }
    }
  }

  #checkBounds(inFlight: number): void {
    const { concurrency, hintBytesMax } = this.#parameters.healing
    for (const { id, peers, store, repair, handoff } of this.#nodes) {
      const { service, answered } = repair
      if (service.exchanges.inFlight.length > concurrency || answered.inProgress > concurrency)
        this.#violate('bounds', `${id} takes part in more exchanges than it may`)
      for (const { target, bytes } of handoff.store.backlog()) {
        if (bytes > hintBytesMax)
          this.#violate('bounds', `${id} keeps ${bytes} bytes of hints for ${target}`)
      }
      const idle = inFlight === 0 ? this.#cluster.nodes.length * 4 : inFlight
      if (peers.inFlight > idle)
        this.#violate('bounds', `${id} has ${peers.inFlight} requests in flight`)
      if (store.pendingBytes > pendingBytesMax)
        this.#violate('bounds', `${id} holds ${store.pendingBytes} unwritten bytes`)
    }
  }

  get #nodes(): Node[] {
    return this.#cluster.nodes.flatMap(({ node }) => (node === null ? [] : [node]))
  }

  #violate(invariant: string, detail: string, history?: KeyHistory): void {
    if (this.#violations.length >= violationsMax) return
    const atMs = this.#cluster.time.nowMs
    this.#violations.push({
      atMs,
      invariant,
      detail,
      timeline: history ? this.#timelineOf(history) : []
    })
  }

  /** What happened to the key and around it, in order. */
  #timelineOf(history: KeyHistory): string[] {
    return [
      ...history.events,
      ...this.#faults.events.map(({ atMs, text }) => ({ atMs, text: `-- ${text}` }))
    ]
      .sort((a, b) => a.atMs - b.atMs)
      .map(({ atMs, text }) => `${(atMs / 1000).toFixed(3).padStart(9)} s  ${text}`)
  }
}
