import { toHex } from '../../core/bytes.ts'
import { partitionOf } from '../../ring/token.ts'
import type { Node } from '../../server/node.ts'
import { parseObjectKey } from '../../storage/keys.ts'
import { encodeObject } from '../../storage/object-codec.ts'
import type { Version, Versions } from '../../storage/version.ts'
import { versionsInUse, versionsOnDisk } from './disk-inspection.ts'
import type { SimCluster } from './sim-cluster.ts'
import type { SimNode } from './sim-node.ts'

const lookEveryMs = 1000
const healthyAfterMs = 90_000
const healthyAfterIntervals = 6
const requestMs = 10_000
/** By then the side that was asked to compare has noticed that an exchange is over, even if its last message was lost. */
const answeringEndsMs = 11_000

export interface HealingCheckOptions {
  readonly cluster: SimCluster
  /** Between two rounds of repair with one peer. */
  readonly intervalMs: number
  readonly graceMs: number
}

interface Ended {
  /** How long the life lasts at least. */
  readonly untilMs: number
  /** A disk has lost something. */
  readonly hasForgotten: boolean
}

export interface NotHealed {
  readonly invariant: 'convergence' | 'collection' | 'silence' | 'trees'
  readonly detail: string
}

/**
 * What has to come true by itself once there are no faults and no clients: replicas become equal, hints drain, what is
 * proven to be gone goes, and then nothing is sent any more.
 */
export class HealingCheck {
  readonly #options: HealingCheckOptions

  constructor(options: HealingCheckOptions) {
    this.#options = options
  }

  /** Lets time pass, at least until `untilMs`, and tells what has not come true within bounds; mostly nothing. */
  async judge({ untilMs, hasForgotten }: Ended): Promise<readonly NotHealed[]> {
    const { cluster, intervalMs } = this.#options
    const limitMs = healthyAfterMs + healthyAfterIntervals * intervalMs
    // What a coordinator has not heard of in time it keeps a hint for, and that takes as long as a request may.
    await cluster.time.advance(requestMs)
    const obstacle = await this.#within(limitMs, () => this.#obstacle())
    if (obstacle !== null) return [{ invariant: 'convergence', detail: obstacle }]
    // Of what a disk has lost nobody can say any more whether everybody knew it.
    const left = hasForgotten ? null : await this.#within(limitMs, () => this.#dueTombstone())
    if (left !== null) return [{ invariant: 'collection', detail: left }]
    const stuck = await this.#within(limitMs, this.#endOfExchanges())
    if (stuck !== null) return [{ invariant: 'convergence', detail: stuck }]
    await cluster.time.advance(answeringEndsMs)
    const sent = await this.#listen(untilMs)
    if (sent !== null) return [{ invariant: 'silence', detail: sent }]
    return this.#treeErrors()
  }

  /** Looks again and again; null once nothing is in the way any more. */
  async #within(limitMs: number, obstacle: () => string | null): Promise<string | null> {
    const { time } = this.#options.cluster
    const endMs = time.nowMs + limitMs
    for (;;) {
      const found = obstacle()
      if (found === null) return null
      if (time.nowMs >= endMs) return `after ${limitMs} ms without faults ${found}`
      await time.advance(lookEveryMs)
    }
  }

  /**
   * What an exchange has shipped is accounted for when it ends: those that are in progress now may have made the replicas
   * equal, and must not be taken for a disturbance of the silence. Answers what tells of one that goes on.
   */
  #endOfExchanges(): () => string | null {
    const inProgress = () =>
      this.#options.cluster.nodes.flatMap(({ id, node }) => {
        const { inFlight } = node?.repair.service.exchanges ?? { inFlight: [] }
        return inFlight.map(({ peer, startedAtMs }) => `${id} with ${peer} since ${startedAtMs}`)
      })
    const begun = new Set(inProgress())
    return () => {
      const left = inProgress().find((exchange) => begun.has(exchange))
      return left === undefined ? null : `the exchange of ${left} goes on`
    }
  }

  /** A whole further round in which nobody has anything to give to anybody. Answers what was sent after all. */
  async #listen(untilMs: number): Promise<string | null> {
    const { cluster, intervalMs } = this.#options
    const before = this.#sent()
    await cluster.time.advance(Math.max(untilMs - cluster.time.nowMs, intervalMs * 1.5))
    const after = this.#sent()
    if (after === before) return null
    return `although all replicas were equal something was sent: ${before}, then ${after}`
  }

  async #treeErrors(): Promise<NotHealed[]> {
    const wrong: NotHealed[] = []
    for (const { node } of this.#options.cluster.nodes) {
      if (node === null) continue
      for (const error of await this.#options.cluster.settle(treeErrors(node)))
        wrong.push({ invariant: 'trees', detail: `of ${node.id}, a tree differs: ${error}` })
    }
    return wrong
  }

  #obstacle(): string | null {
    for (const { id, node } of this.#options.cluster.nodes) {
      if (node === null) return `${id} is down`
      const [backlog] = node.handoff.store.backlog()
      if (backlog !== undefined)
        return `${id} still keeps ${backlog.count} hints for ${backlog.target}`
      const behind = node.arriving.watermarks.partitionsBehind
      if (behind > 0) return `${id} is behind in ${behind} partitions`
    }
    return this.#difference()
  }

  #difference(): string | null {
    const [first] = this.#options.cluster.nodes
    const ring = first?.node?.cluster.ring
    if (ring === undefined) return 'there is no ring'
    for (let partition = 0; partition < ring.partitions; partition++) {
      const replicas = this.#options.cluster.nodes.filter(({ id }) =>
        ring.replicas(partition).includes(id)
      )
      const difference = rowsDiffer(replicas, partition)
      if (difference !== null) return difference
      if (replicas.some(({ node }) => node?.repair.keeper.isReady(partition) !== true)) {
        return `a tree of partition ${partition} is not ready`
      }
    }
    return null
  }

  #dueTombstone(): string | null {
    const { cluster, graceMs } = this.#options
    for (const { id, node, disk } of cluster.nodes) {
      if (node === null) return `${id} is down`
      for (const rowId of disk.rowsOf('t')) {
        const key = `o${rowId.slice(1)}`
        for (const { tombstone, timeMs } of versionsOnDisk(disk, key)) {
          if (!tombstone || cluster.nodes.some((other) => ageOf(other, timeMs) < graceMs)) continue
          const partition = partitionOf(
            Buffer.from(key.slice(1, 9), 'latin1'),
            node.cluster.ring.partitions
          )
          const holdup = JSON.stringify(node.arriving.watermarks.holdup(partition))
          return `${id} still keeps a tombstone of ${nameOf(key)} that may go: ${holdup}`
        }
      }
    }
    return null
  }

  #sent(): string {
    const sums = { rows: 0, hints: 0, quarantined: 0 }
    for (const { node } of this.#options.cluster.nodes) {
      if (node === null) continue
      for (const { counters } of node.repair.totals.byPeer.values()) {
        sums.rows += counters.rowsSent + counters.rowsReceived
      }
      const { counters } = node.handoff.delivery
      sums.hints += counters.delivered + counters.expired + node.handoff.store.counters.stored
      sums.quarantined += node.arriving.reception.counters.resurrections
    }
    return `${sums.rows} rows, ${sums.hints} hints, ${sums.quarantined} to quarantine`
  }
}

/** The leaves that differed from the rows, by partition; empty where the node is stopped meanwhile. */
export async function treeErrors({ repair }: Node): Promise<string[]> {
  const wrong: string[] = []
  for (const partition of repair.trees.partitions) {
    const leaves = await repair.keeper.verify(partition)
    if (leaves.length > 0) wrong.push(`partition ${partition}, leaves ${leaves.join(', ')}`)
  }
  return wrong
}

/** The first key of which replicas hold something else, tombstones that may go any moment aside. */
function rowsDiffer(replicas: readonly SimNode[], partition: number): string | null {
  const held = replicas.map((replica) => ({ replica, rows: rowsIn(replica, partition) }))
  const keys = new Set(held.flatMap(({ rows }) => rows))
  for (const key of [...keys].sort()) {
    const contents = held.map(({ replica }) => {
      const versions = versionsInUse(replica.disk, key)
      return contentOf(versions.filter((version) => !mayGo(replicas, partition, version)))
    })
    if (new Set(contents).size === 1) continue
    const texts = held.map(
      ({ replica }, i) => `${replica.id} ${contents[i]?.slice(0, 120) || 'nothing'}`
    )
    return `replicas differ in ${nameOf(key)}: ${texts.join('; ')}`
  }
  return null
}

/** In any two of them one knows that it may go; then exchanges count it as absent. */
function mayGo(replicas: readonly SimNode[], partition: number, version: Version): boolean {
  const unaware = replicas.filter(({ node }) => {
    const watermarks = node?.arriving.watermarks
    return watermarks?.collectable(partition, version, node?.clock.now() ?? 0) !== true
  })
  return unaware.length <= 1
}

function rowsIn({ disk, node }: SimNode, partition: number): string[] {
  const count = node?.cluster.ring.partitions ?? 1
  return disk
    .rowsWritten('o')
    .filter((id) => partitionOf(Buffer.from(id.slice(1, 9), 'latin1'), count) === partition)
}

function contentOf(versions: Versions): string {
  return versions.length === 0 ? '' : toHex(encodeObject(versions, 'row'))
}

/** By the clock of a node; one that is down knows no time. */
function ageOf({ node }: SimNode, timeMs: number): number {
  return node === null ? Number.NEGATIVE_INFINITY : node.clock.now() - timeMs
}

function nameOf(rowId: string): string {
  return Buffer.from(parseObjectKey(Buffer.from(rowId, 'latin1')).key).toString()
}
