import { AnnealError } from '../../core/errors.ts'
import { smallMessageBytesMax } from '../../core/limits.ts'
import type { TimerHandle } from '../../core/ports.ts'
import type { ReplicateRequest, Request } from '../../proto/frames.ts'
import { noBytes } from '../../proto/wire-format.ts'
import { partitionOf } from '../../ring/token.ts'
import type { Coordinated, Write } from '../../storage/coordinate.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import { encodeObject } from '../../storage/object-codec.ts'
import type { Versions } from '../../storage/version.ts'
import type { Outcome } from '../peer/peer-link.ts'
import {
  type CoordinatorContext,
  quorumContext,
  quorumUnavailable,
  replicasOf,
  standInsFor
} from './coordinator-context.ts'
import { anyReplica, canBeMet, type Quorum, resolveQuorum, shortfall } from './quorum.ts'
import { planStandIns, type StandInPlan, type StandIns } from './stand-ins.ts'
import type { WriteOptions, WriteResult } from './write-coordinator.ts'
import { type WriteDecision, WriteTally } from './write-tally.ts'

const epochRetriesMax = 3
const standInsTriedMax = 2

/** One write on the node that coordinates it, a replica or one that stands in: the effects around a WriteTally. */
export class WriteOperation {
  readonly #context: CoordinatorContext
  readonly #key: ObjectKey
  readonly #options: WriteOptions
  readonly #resolve: (result: WriteResult) => void
  readonly #reject: (error: Error) => void
  readonly #startedMs: number
  /** Whether this node is no replica of the key, and stands in for one. */
  readonly #asFallback: boolean
  readonly #epochRetries = new Map<string, number>()
  readonly #overloaded = new Set<string>()
  /** Null where all replicas can be reached, as nearly always. */
  #plan: StandInPlan | null = null
  /** Who is left to stand in; null before anybody had to. */
  #standIns: StandIns | null = null
  /** By replica, once for each node that was to stand in for it. */
  readonly #standInsTried: string[] = []
  #replicas: readonly string[] = []
  #quorum: Quorum = []
  #tally = new WriteTally([], [])
  #coordinated: Coordinated | null = null
  #versions: Versions = []
  /** The merged object, as every other replica gets it. */
  #object: Buffer = noBytes
  /** What takes it there; the same value for all, so that it is encoded once. */
  #replicate: ReplicateRequest | null = null
  /**
   * Resolves when this node's own copy is durable, and only then hints are handed to other nodes: what lies nowhere but
   * among the hints of others no report accounts for, and once watermarks had passed it, it would be set aside as if it
   * had been deleted.
   */
  #ownCopy: Promise<void> = Promise.resolve()
  /** What still has to tell where the write lies; until then this node vouches for nothing from it on. */
  #pending = 0
  /** Peers are asked with a deadline of their own; the disk of this node has none, nor has what waits for it. */
  #deadline: TimerHandle | null = null

  constructor(
    context: CoordinatorContext,
    key: ObjectKey,
    options: WriteOptions,
    asFallback: boolean,
    resolve: (result: WriteResult) => void,
    reject: (error: Error) => void
  ) {
    this.#asFallback = asFallback
    this.#context = context
    this.#key = key
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#startedMs = context.clock.monotonic()
  }

  start(write: Write): void {
    try {
      this.#prepare()
      this.#coordinate(write)
    } catch (thrown) {
      this.#reject(AnnealError.from(thrown))
      return
    }
    const timeOut = () => this.#carryOut(this.#tally.timeOut())
    this.#deadline = this.#context.timers.set(timeOut, this.#options.timeoutMs)
    for (const replica of this.#replicas) {
      if (replica === this.#context.selfId) continue
      if (this.#plan?.down.includes(replica)) this.#sendElsewhere(replica, this.#plan)
      else this.#send(replica)
    }
  }

  /** Refuses at once, before anything is stored, what cannot be acknowledged anyway. */
  #prepare(): void {
    const { selfId, peers } = this.#context
    this.#replicas = replicasOf(this.#context, this.#key)
    this.#quorum = this.#quorumOf(this.#replicas)
    const isUp = (id: string) => id === selfId || peers.acceptsWrites(id)
    const allUp = this.#replicas.every(isUp)
    if (this.#asFallback || !allUp) this.#planStandIns(isUp)
    const plan = this.#plan
    const counts = (id: string) => isUp(id) || plan?.standIns.has(id) === true || id === plan?.own
    if (!canBeMet(this.#quorum, allUp ? anyReplica : counts)) {
      const numbers = shortfall(this.#quorum, counts, anyReplica)
      throw quorumUnavailable(this.#context, 'write', this.#replicas, numbers)
    }
    this.#tally = new WriteTally(this.#replicas, this.#quorum)
  }

  #quorumOf(replicas: readonly string[]): Quorum {
    const { w, localRegion } = this.#options
    return resolveQuorum(w, 'w', quorumContext(this.#context, replicas, localRegion))
  }

  #planStandIns(isUp: (id: string) => boolean): void {
    const { hints, selfId } = this.#context
    if (hints === null) return
    const free = this.#options.sloppy ? this.#freeStandIns() : null
    this.#plan = planStandIns(this.#replicas, isUp, free, this.#asFallback ? selfId : null)
  }

  #freeStandIns(): StandIns {
    const { selfId, peers } = this.#context
    const isHealthy = (id: string) => id === selfId || peers.acceptsWrites(id)
    this.#standIns ??= standInsFor(this.#context, this.#key, isHealthy)
    return this.#standIns
  }

  #coordinate(write: Write): void {
    const { local, hints, selfId } = this.#context
    if (this.#asFallback) return this.#coordinateAsFallback(write)
    const kept = this.#plan?.kept ?? []
    const { result, row, durable } = local.coordinate(
      this.#key,
      write,
      hints === null || kept.length === 0
        ? undefined
        : ({ versions }) => hints.changes(kept, this.#key, versions)
    )
    if (row === null) throw new AnnealError('internal', 'a write left nothing behind')
    this.#object = local.wholeObject(this.#key, row)
    this.#begun(result, durable)
    durable.then(
      () => this.#carryOut(this.#tally.add(selfId, { kind: 'acknowledged' })),
      () => this.#failed(selfId, false)
    )
  }

  #begun(coordinated: Coordinated, durable: Promise<void>): void {
    this.#coordinated = coordinated
    this.#versions = coordinated.versions
    this.#ownCopy = durable
    this.#context.elsewhere.begun(coordinated.version.dot)
    this.#pending++
    const told = () => this.#told()
    durable.then(told, told)
  }

  #told(): void {
    if (--this.#pending > 0 || this.#coordinated === null) return
    this.#context.elsewhere.ended(this.#coordinated.version.dot)
  }

  /** Kept here, in place of one replica, before anybody else is sent it. */
  #coordinateAsFallback(write: Write): void {
    const { hints, selfId } = this.#context
    if (hints === null || this.#plan === null) {
      throw new AnnealError('not_ready', `node ${selfId} does not stand in for anybody`)
    }
    const { own, kept } = this.#plan
    const targets = own === null ? kept : [own, ...kept]
    const { result, durable } = hints.coordinate(this.#key, write, targets)
    this.#object = encodeObject(result.versions, 'whole')
    this.#begun(result, durable)
    durable.then(
      () => {
        this.#carryOut(this.#tally.kept())
        if (own !== null) this.#carryOut(this.#tally.addStandIn(own, selfId))
      },
      () => {
        if (own !== null) this.#failed(own, false)
      }
    )
  }

  /** What this node keeps for the replica lies beside the row already, or beside the hint. */
  #sendElsewhere(replica: string, { standIns, own }: StandInPlan): void {
    const standIn = standIns.get(replica)
    if (standIn !== undefined) this.#sendHint(replica, standIn)
    else if (replica !== own) this.#failed(replica, false)
  }

  #sendHint(replica: string, standIn: string): void {
    const { bucket, key } = this.#key
    const body = { kind: 'storeHint', bucket, key, object: this.#object, target: replica } as const
    const heard = (outcome: Outcome) => {
      if (outcome.kind === 'acknowledged' || isUnknown(outcome)) this.#keptBy(standIn)
      if (outcome.kind !== 'acknowledged') return this.#missed(replica, outcome)
      this.#carryOut(this.#tally.addStandIn(replica, standIn))
    }
    this.#standInsTried.push(replica)
    this.#pending++
    this.#ownCopy.then(
      () => {
        this.#request(standIn, body, heard)
        this.#told()
      },
      () => {
        this.#failed(replica, false)
        this.#told()
      }
    )
  }

  #keptBy(standIn: string): void {
    if (this.#coordinated === null) return
    const { cluster, elsewhere } = this.#context
    const partition = partitionOf(this.#key.token, cluster.ring.partitions)
    elsewhere.kept(standIn, partition, this.#coordinated.version.dot)
  }

  #send(replica: string): void {
    const { bucket, key } = this.#key
    const object = this.#object
    this.#replicate ??= { kind: 'replicate', bucket, key, object, synced: false }
    this.#request(replica, this.#replicate, (outcome) => this.#heard(replica, outcome))
  }

  #request(node: string, body: Request, heard: (outcome: Outcome) => void): void {
    const { peers, clock } = this.#context
    const channel = this.#object.length > smallMessageBytesMax ? 'bulk' : 'small'
    const timeoutMs = this.#options.timeoutMs - (clock.monotonic() - this.#startedMs)
    this.#pending++
    peers.request(node, channel, body, timeoutMs, (outcome) => {
      heard(outcome)
      this.#told()
    })
  }

  #heard(replica: string, outcome: Outcome): void {
    if (outcome.kind === 'acknowledged') {
      this.#context.local.setAside(this.#key, outcome.quarantined, replica)
      return this.#carryOut(this.#tally.add(replica, { kind: 'acknowledged' }))
    }
    if (outcome.kind === 'failure' && outcome.code === 'epoch') {
      const retries = this.#epochRetries.get(replica) ?? 0
      if (retries < epochRetriesMax) {
        this.#epochRetries.set(replica, retries + 1)
        this.#pending++
        return this.#context.peers.exchangeDocuments(replica, () => {
          this.#sendByNewRing(replica)
          this.#told()
        })
      }
    }
    if (isOverloaded(outcome)) this.#overloaded.add(replica)
    this.#missed(replica, outcome)
  }

  /**
   * The replica does not have the write, or did not say so: somebody keeps it for the replica. As long as it is not
   * decided that may be another node, which then counts; afterwards, and where nobody is left, it is this one.
   */
  #missed(replica: string, outcome: Outcome): void {
    const { hints } = this.#context
    const unknown = isUnknown(outcome)
    if (hints === null || (outcome.kind === 'failure' && outcome.code === 'bad_request')) {
      return this.#failed(replica, unknown)
    }
    const tried = this.#standInsTried.filter((id) => id === replica).length
    const isOpen = this.#options.sloppy && !unknown && !this.#tally.decided
    const standIn = isOpen && tried < standInsTriedMax ? this.#freeStandIns().take(replica) : null
    if (standIn !== null) return this.#sendHint(replica, standIn)
    hints.keep(replica, this.#key, this.#versions)
    this.#failed(replica, unknown)
  }

  #failed(replica: string, unknown: boolean): void {
    this.#carryOut(this.#tally.add(replica, { kind: 'failed', unknown }))
  }

  /** The member sets differed: by the ring of the exchanged views, some replicas may be new and others count no more. */
  #sendByNewRing(replica: string): void {
    const replicas = replicasOf(this.#context, this.#key)
    const quorum = this.#quorumOf(replicas)
    const added = this.#tally.changeReplicas(replicas, quorum)
    this.#replicas = replicas
    this.#quorum = quorum
    this.#standIns = null
    if (replicas.includes(replica) && !added.includes(replica)) this.#send(replica)
    for (const id of added) if (id !== this.#context.selfId) this.#send(id)
  }

  #carryOut(decision: WriteDecision): void {
    if (decision.kind === 'wait') return
    if (this.#deadline !== null) this.#context.timers.clear(this.#deadline)
    if (decision.kind === 'done') this.#done()
    else this.#fail(decision.timedOut)
  }

  #done(): void {
    const { acknowledged, asked, hinted } = this.#tally
    if (this.#coordinated === null) return
    const { context, contextTimeMs, version } = this.#coordinated
    this.#resolve({
      context,
      contextTimeMs,
      contentHash: version.contentHash,
      coordinator: this.#context.selfId,
      answered: acknowledged,
      asked,
      hinted,
      versions: this.#options.returnObject ? this.#versions : null
    })
  }

  #fail(timedOut: boolean): void {
    const numbers = this.#tally.shortfall
    if (!timedOut && this.#overloaded.size > 0) {
      this.#reject(
        new AnnealError(
          'overloaded',
          `the write needs ${numbers.needed} replicas and ${[...this.#overloaded].join(', ')} had too much to do: it is not confirmed, though it may still surface; try again in a second`,
          { ...numbers }
        )
      )
      return
    }
    if (!timedOut) {
      this.#reject(quorumUnavailable(this.#context, 'write', this.#replicas, numbers))
      return
    }
    const { timeoutMs } = this.#options
    this.#reject(
      new AnnealError(
        'timeout',
        `only ${numbers.answered} of the ${numbers.needed} replicas that the write needs confirmed it within ${timeoutMs} ms: whether it was stored is not known; read the key before you write it again`,
        { ...numbers }
      )
    )
  }
}

/** Whoever was asked may have done it, or may yet. */
function isUnknown(outcome: Outcome): boolean {
  return outcome.kind === 'noResponse' && outcome.reason === 'timeout'
}

function isOverloaded(outcome: Outcome): boolean {
  if (outcome.kind === 'failure') return outcome.code === 'overloaded'
  return outcome.kind === 'noResponse' && outcome.reason === 'overloaded'
}
