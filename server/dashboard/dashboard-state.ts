import type { LatencyHistogram } from '../../core/latency-histogram.ts'
import type { Node } from '../node.ts'
import { hintsReport } from '../repair/hints-report.ts'
import { type PairReport, repairReport, runReport } from '../repair/repair-report.ts'
import { type WatermarkReport, watermarkReport } from '../repair/watermark-report.ts'
import { alarmsOf } from './alarms.ts'
import type { EventTexts } from './event-feed.ts'
import type { PartitionsEvent, RingEvent, StateEvent } from './event-schemas.ts'
import { MemberViews } from './member-views.ts'
import { partitionStandings } from './partition-states.ts'
import { RequestRates } from './request-figures.ts'

const runsShown = 5
/** Rarely changing and costly to look at. */
const watermarksEvery = 5

/** Reads off one node what its dashboard shows. Nothing is kept or asked for while nobody looks. */
export class DashboardState {
  readonly #node: Node
  readonly #views: MemberViews
  readonly #rates: RequestRates
  #ring: { readonly epoch: string; readonly text: string } = { epoch: '', text: '' }
  #watermarks: WatermarkReport | null = null
  #damaged = { rows: 0, unreadableSlices: 0 }
  #looks = 0

  constructor(node: Node, latencies: ReadonlyMap<string, LatencyHistogram>) {
    this.#node = node
    this.#views = new MemberViews(node)
    this.#rates = new RequestRates(latencies)
  }

  /** Somebody begins to look, after nobody has. */
  restart(): void {
    this.#rates.restart(this.#node.clock.monotonic())
    this.#views.forget()
    this.#watermarks = null
    this.#looks = 0
  }

  readonly read = (): EventTexts => {
    this.#views.refresh()
    void this.#countDamage()
    const { service, pacer } = this.#node.repair
    const repair = repairReport(service, pacer, this.#node.clock.now())
    if (this.#watermarks === null || this.#looks++ % watermarksEvery === 0) {
      this.#watermarks = watermarkReport(this.#node)
    }
    return new Map([
      ['ring', this.#ringText()],
      ['partitions', partitionsText(repair.partitions)],
      ['state', JSON.stringify(this.#state(repair, this.#watermarks))]
    ])
  }

  #ringText(): string {
    const { ring } = this.#node.cluster
    if (ring.epoch === this.#ring.epoch) return this.#ring.text
    const nodes = [...ring.memberIds]
    const positions = new Map(nodes.map((id, position) => [id, position]))
    const replicas = Array.from({ length: ring.partitions }, (_, partition) =>
      ring.replicas(partition).flatMap((id) => positions.get(id) ?? [])
    )
    const event: RingEvent = { epoch: ring.epoch, nodes, replicas }
    this.#ring = { epoch: ring.epoch, text: JSON.stringify(event) }
    return this.#ring.text
  }

  #state(
    { background, summary, peers, exchanges, partitions: pairs }: ReturnType<typeof repairReport>,
    watermarks: WatermarkReport
  ): StateEvent {
    const node = this.#node
    const { cluster, repair, arriving, config } = node
    const facts = {
      at: node.clock.now(),
      node: {
        id: node.id,
        version: node.release,
        state: node.state,
        uptimeSeconds: Math.floor(node.uptimeMs / 1000)
      },
      cluster: {
        name: config.cluster.name,
        epoch: cluster.ring.epoch,
        partitions: cluster.ring.partitions
      },
      members: this.#members(),
      requests: this.#rates.look(node.clock.monotonic()),
      repair: {
        background,
        isPaused: repair.service.isPaused,
        isEnabled: config.repair.enabled,
        oldestEqualSeconds: summary.oldestEqualSeconds,
        neverEqual: summary.neverEqual,
        pairs: { ...summary.partitions },
        peers: [...peers],
        exchanges: [...exchanges],
        runs: repair.service.runs
          .list()
          .slice(0, runsShown)
          .map((status) => {
            const { skipped, ...run } = runReport(status, repair.pacer.pace)
            return { ...run, skipped: [...skipped] }
          }),
        totals: totalsOf(node, pairs)
      },
      hints: [...hintsReport(repair.hints)],
      watermarks: {
        ...watermarks,
        pairs: watermarks.pairs.map((pair) => ({ ...pair, nodes: [...pair.nodes] })),
        membersUnheard: [...watermarks.membersUnheard]
      },
      quarantine: { count: arriving.quarantine.count, bytes: arriving.quarantine.bytes },
      damage: {
        ...this.#damaged,
        leaves: repair.scrubbed.leaves,
        scrubbedRows: repair.scrubbed.rows,
        scrubRounds: repair.scrubbed.rounds
      }
    }
    const notReady = node
      .readiness()
      .filter(({ ok }) => !ok)
      .map(({ name, detail }) => `not ready: ${name}: ${detail}`)
    return { ...facts, alarms: alarmsOf({ ...facts, notReady }) }
  }

  #members(): StateEvent['members'] {
    const { cluster, peers, id: self } = this.#node
    return [...cluster.document.members.values()]
      .filter(({ state }) => state !== 'removed')
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ id, http, zone, region, state }) => {
        const view = this.#views.of(id)
        return {
          id,
          http,
          zone,
          region,
          state,
          up: id === self || peers.isUp(id),
          view: view === null ? null : { ...view, up: [...view.up], down: [...view.down] }
        }
      })
  }

  /** The library of the metrics answers later; the next look shows it. */
  async #countDamage(): Promise<void> {
    const { damagedRows, unreadableSlices } = this.#node.metrics
    const [rows, slices] = await Promise.all([damagedRows.get(), unreadableSlices.get()])
    this.#damaged = {
      rows: rows.values[0]?.value ?? 0,
      unreadableSlices: slices.values[0]?.value ?? 0
    }
  }
}

function partitionsText(pairs: readonly PairReport[]): string {
  const event: PartitionsEvent = { partitions: [...partitionStandings(pairs)] }
  return JSON.stringify(event)
}

/** Only of exchanges that this node began: it does not learn what differed in those of its peers. */
function totalsOf({ repair }: Node, pairs: readonly PairReport[]): StateEvent['repair']['totals'] {
  const totals = {
    differences: 0,
    rows: 0,
    dataBytes: 0,
    indexBytes: 0,
    roundTrips: 0,
    exchanges: 0
  }
  for (const pair of pairs) {
    totals.differences += pair.differences
    totals.rows += pair.rowsSent + pair.rowsReceived
    totals.dataBytes += pair.bytesSent + pair.bytesReceived
  }
  for (const { counters, ends } of repair.totals.byPeer.values()) {
    totals.indexBytes += counters.indexBytes
    totals.roundTrips += counters.roundTrips
    totals.exchanges += ends.done
  }
  return totals
}
