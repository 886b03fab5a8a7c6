import type { Store } from '../storage/store.ts'
import type { ClusterState } from './cluster-state.ts'
import type { DiskWatch } from './disk-watch.ts'
import type { NodeMetrics } from './node-metrics.ts'
import type { Peers } from './peer/peers.ts'

export interface GaugeSources {
  readonly store: Store
  readonly peers: Peers
  readonly cluster: ClusterState
  readonly disk: DiskWatch | null
}

/** Values that are read from the parts of a node when somebody scrapes. */
export function describeGauges(
  metrics: NodeMetrics,
  { store, peers, cluster, disk }: GaugeSources
): void {
  metrics.gauge(
    'anneal_storage_pending_bytes',
    'Bytes that wait to be written to the database',
    () => store.pendingBytes
  )
  metrics.gauge(
    'anneal_peer_requests_in_flight',
    'Requests to peers that wait for a response',
    () => peers.inFlight
  )
  metrics.gauge(
    'anneal_cluster_members',
    'Members in the ring',
    () => cluster.ring.memberIds.length
  )
  metrics.labelledGauge('anneal_peer_up', 'Whether this node sees the peer up', 'peer', () =>
    [...cluster.document.members.values()]
      .filter(({ id, state }) => id !== cluster.self?.id && state !== 'removed')
      .map(({ id }) => [id, peers.isUp(id) ? 1 : 0] as const)
  )
  if (disk === null) return
  metrics.gauge(
    'anneal_disk_free_bytes',
    'Free bytes of the file system that holds the data',
    () => disk.space?.freeBytes ?? Number.NaN
  )
  metrics.gauge(
    'anneal_disk_size_bytes',
    'Size of the file system that holds the data',
    () => disk.space?.totalBytes ?? Number.NaN
  )
  metrics.gauge(
    'anneal_disk_writes_refused',
    '1 while writes are refused, since the disk is nearly full',
    () => (disk.refusal === null ? 0 : 1)
  )
}
