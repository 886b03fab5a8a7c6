import { deriveKeys } from '../../core/secrets.ts'
import { PeerLink } from '../../server/peer/peer-link.ts'
import { NodeTime } from './node-time.ts'
import type { SimCluster } from './sim-cluster.ts'

const oldEpoch = '0123456789abcdef'
const answerLimitMs = 20_000

/**
 * A peer that knows the secret but goes by an old ring sends a write to each node. Answers whether every node refused
 * it for its epoch.
 */
export async function probeWithOldEpoch(cluster: SimCluster): Promise<boolean> {
  const outcomes = await Promise.all(cluster.nodes.map((_, index) => probe(cluster, index)))
  return outcomes.every((outcome) => outcome === 'epoch')
}

async function probe(cluster: SimCluster, index: number): Promise<string> {
  const { clock, timers } = new NodeTime(cluster.time)
  const self = {
    clusterName: 'anneal',
    partitions: 16,
    nodeId: 'stale',
    release: 'simulated',
    process: Buffer.alloc(16)
  }
  const keys = await deriveKeys('anneal', 'simulated')
  const random = cluster.random.fork(`stale/${index}`)
  return new Promise((resolve) => {
    const link = new PeerLink({
      address: `10.0.0.${index + 1}:9801`,
      channel: 'small',
      transport: cluster.network.transportFor(`stale${index}`),
      clock,
      timers,
      random,
      handshake: { self, keys, random },
      epoch: () => oldEpoch,
      events: {
        onDialing: () => {},
        onHeard: () => {},
        onDown: () => {},
        onRefused: (_link, _code, detail) => resolve(detail),
        onReady: () => {
          const [bucket, key] = [Buffer.from('stale'), Buffer.from('key')]
          const body = {
            kind: 'read',
            bucket,
            key,
            objectHash: Buffer.alloc(0),
            standIn: false
          } as const
          link.request(body, answerLimitMs, (outcome) => {
            link.close('done')
            resolve(outcome.kind === 'failure' ? outcome.code : outcome.kind)
          })
        }
      }
    })
    link.start()
  })
}
