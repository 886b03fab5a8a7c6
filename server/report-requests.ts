import type { RandomSource, Timers } from '../core/ports.ts'
import type { FirstHearing } from '../repair/first-hearing.ts'
import type { HintsElsewhere } from '../repair/hints-elsewhere.ts'
import { ReportExchange } from '../repair/report-exchange.ts'
import type { HintedDots } from '../repair/report-table.ts'
import type { Watermarks } from '../repair/watermarks.ts'
import type { Store } from '../storage/store.ts'
import type { Incarnation } from '../storage/version-vector.ts'
import type { ClusterState } from './cluster-state.ts'
import type { PeerRequests } from './peer/peers.ts'

export interface ReportRequestsOptions {
  readonly selfId: string
  readonly cluster: ClusterState
  readonly store: Store
  readonly peers: PeerRequests
  readonly watermarks: Watermarks
  readonly hearing: FirstHearing
  readonly hinted: (incarnations: ReadonlySet<Incarnation>) => HintedDots | null
  readonly elsewhere: HintsElsewhere
  readonly timers: Timers
  readonly random: RandomSource
  readonly lookEveryMs: number
}

const timeoutMs = 3000

/** The exchange of reports over the peer links. */
export function createReportExchange(options: ReportRequestsOptions): ReportExchange {
  const { selfId, cluster, store, peers, watermarks, hearing, hinted, elsewhere } = options
  const isHeldBy = (partition: number, id: string) => cluster.ring.replicas(partition).includes(id)
  return new ReportExchange({
    watermarks,
    hearing,
    hinted,
    elsewhere,
    partitions: cluster.ring.partitions,
    own: () => {
      const { incarnation, counter, ended } = store.minter
      return { member: selfId, present: incarnation, counter, ended }
    },
    members: () => ({
      others: cluster.ring.memberIds.filter((id) => id !== selfId),
      removed: [...cluster.document.members.values()]
        .filter(({ id, state }) => state === 'removed' && id !== selfId)
        .map(({ id }) => id)
    }),
    isShared: (partition, peer) => isHeldBy(partition, selfId) && isHeldBy(partition, peer),
    isUp: (id) => peers.isUp(id),
    request: (peer, body, done) =>
      peers.request(peer, 'bulk', body, timeoutMs, (outcome) =>
        done(outcome.kind === 'reported' ? outcome : null)
      ),
    timers: options.timers,
    random: options.random,
    lookEveryMs: options.lookEveryMs
  })
}
