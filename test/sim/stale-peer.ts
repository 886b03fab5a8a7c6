import { deriveKeys } from '../../core/secrets.ts'
import type { Request } from '../../proto/frames.ts'
import { type Question, type Reply, rootBytes } from '../../repair/reconcile/messages.ts'
import { encodeQuestion } from '../../repair/reconcile/question-codec.ts'
import { decodeReply } from '../../repair/reconcile/reply-codec.ts'
import type { Ring } from '../../ring/ring.ts'
import { type Outcome, PeerLink } from '../../server/peer/peer-link.ts'
import { NodeTime } from './node-time.ts'
import type { SimCluster } from './sim-cluster.ts'

const oldEpoch = '0123456789abcdef'
const answerLimitMs = 20_000
const ownSnapshot = 7
const busyTriesMax = 30
const busyPauseMs = 1000

type Ask = (body: Request) => Promise<Outcome>
type Conversation = (ask: Ask, pause: () => Promise<void>) => Promise<string>

/**
 * A peer that knows the secret but goes by an old ring asks each node for a row. Answers whether every node refused it
 * for its epoch.
 */
export async function probeWithOldEpoch(cluster: SimCluster): Promise<boolean> {
  const probes = cluster.nodes.map((_, index) =>
    converse(cluster, index, () => oldEpoch, askForRow)
  )
  const outcomes = await Promise.all(probes)
  return outcomes.every((outcome) => outcome === 'epoch')
}

/**
 * A peer begins to compare itself with each node, and goes on by snapshots that are not those it had begun with. Answers
 * whether every node answered what goes by the right ones, and nothing else.
 */
export async function probeWithOldSnapshots(cluster: SimCluster): Promise<boolean> {
  const probes = cluster.nodes.map(({ id, node }, index) => {
    const ring = node?.cluster.ring
    const partition = ring === undefined ? -1 : firstPartitionOf(ring, id)
    if (ring === undefined || partition === -1) return right
    const compare: Conversation = (ask, pause) => askBySnapshots(partition, ask, pause)
    return converse(cluster, index, () => ring.epoch, compare)
  })
  const outcomes = await Promise.all(probes)
  return outcomes.every((outcome) => outcome === right)
}

const right = 'answered, stale, stale'

/** -1: none. */
function firstPartitionOf(ring: Ring, id: string): number {
  const partitions = Array.from({ length: ring.partitions }, (_, partition) => partition)
  return partitions.findIndex((partition) => ring.replicas(partition).includes(id))
}

async function askForRow(ask: Ask): Promise<string> {
  const [bucket, key] = [Buffer.from('stale'), Buffer.from('key')]
  const objectHash = Buffer.alloc(0)
  const answer = await ask({ kind: 'read', bucket, key, objectHash, standIn: false })
  return answer.kind === 'failure' ? answer.code : answer.kind
}

async function askBySnapshots(
  partition: number,
  ask: Ask,
  pause: () => Promise<void>
): Promise<string> {
  let outcome = 'busy'
  for (let tries = 0; outcome === 'busy' && tries < busyTriesMax; tries++) {
    if (tries > 0) await pause()
    outcome = await compareBySnapshots(partition, ask, Buffer.from([1, 2, 3, 4, 5, 6, 7, tries]))
  }
  return outcome
}

/** One session of an exchange. `busy`: the node compares itself with others just now. */
async function compareBySnapshots(
  partition: number,
  ask: Ask,
  session: Uint8Array
): Promise<string> {
  let number = 0
  const compare = async (question: Question): Promise<Reply | null> => {
    const payload = encodeQuestion(question, { facts: [], wanted: [] })
    const answer = await ask({ kind: 'reconcile', session, number: ++number, payload })
    return answer.kind === 'reconciled' ? decodeReply(answer.payload).reply : null
  }
  const root = Buffer.alloc(rootBytes, 1)
  const opened = await compare({
    kind: 'open',
    nowMs: 0,
    offers: [],
    partitions: [{ partition, snapshot: ownSnapshot, root, isEmpty: false }]
  })
  const there = opened?.kind === 'opened' ? opened.partitions[0] : undefined
  if (there === undefined || there.status === 'busy' || there.status === 'notReady') return 'busy'
  const outcomes: string[] = []
  for (const [snapshot, peerSnapshot] of [
    [ownSnapshot, there.snapshot],
    [ownSnapshot + 1, there.snapshot],
    [ownSnapshot, there.snapshot + 1]
  ] as const) {
    const part = { partition, snapshot, peerSnapshot, nodes: [] }
    const reply = await compare({ kind: 'descend', parts: [part] })
    if (reply?.kind !== 'descended') return 'not descended'
    outcomes.push(reply.parts[0] === null ? 'stale' : 'answered')
  }
  await compare({ kind: 'bye' })
  return outcomes.join(', ')
}

async function converse(
  cluster: SimCluster,
  index: number,
  epoch: () => string,
  conversation: Conversation
): Promise<string> {
  const { clock, timers } = new NodeTime(cluster.time)
  const self = {
    clusterName: 'anneal',
    partitions: cluster.partitions,
    nodeId: 'stale',
    release: 'simulated',
    process: Buffer.alloc(16)
  }
  const keys = await deriveKeys('anneal', 'simulated')
  const random = cluster.random.fork(`stale/${index}`)
  return new Promise((resolve, reject) => {
    const link = new PeerLink({
      address: `10.0.0.${index + 1}:9801`,
      channel: 'small',
      transport: cluster.network.transportFor(`stale${index}`),
      clock,
      timers,
      random,
      handshake: { self, keys, random },
      epoch,
      events: {
        onDialing: () => {},
        onHeard: () => {},
        onDown: () => {},
        onRefused: (_link, _code, detail) => resolve(detail),
        onReady: () => {
          const ask: Ask = (body) =>
            new Promise((answered) => link.request(body, answerLimitMs, answered))
          const pause = () => new Promise<void>((resume) => timers.set(resume, busyPauseMs))
          conversation(ask, pause)
            .finally(() => link.close('done'))
            .then(resolve, reject)
        }
      }
    })
    link.start()
  })
}
