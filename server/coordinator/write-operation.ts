import { AnnealError } from '../../core/errors.ts'
import { smallMessageBytesMax } from '../../core/limits.ts'
import type { Coordinated, Write } from '../../storage/coordinate.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { Versions } from '../../storage/version.ts'
import type { Outcome } from '../peer/peer-link.ts'
import {
  type CoordinatorContext,
  quorumContext,
  quorumUnavailable,
  replicasOf
} from './coordinator-context.ts'
import { canBeMet, neededBy, type Quorum, resolveQuorum } from './quorum.ts'
import type { WriteOptions, WriteResult } from './write-coordinator.ts'
import { type WriteDecision, WriteTally } from './write-tally.ts'

const epochRetriesMax = 3

/** One write on the replica that coordinates it: the effects around a WriteTally. */
export class WriteOperation {
  readonly #context: CoordinatorContext
  readonly #key: ObjectKey
  readonly #options: WriteOptions
  readonly #resolve: (result: WriteResult) => void
  readonly #reject: (error: Error) => void
  readonly #startedMs: number
  readonly #epochRetries = new Map<string, number>()
  readonly #overloaded = new Set<string>()
  #replicas: readonly string[] = []
  #quorum: Quorum = []
  #tally = new WriteTally([], [])
  #coordinated: Coordinated | null = null
  #versions: Versions = []
  /** The merged object, as every other replica gets it. */
  #object: Buffer = Buffer.alloc(0)

  constructor(
    context: CoordinatorContext,
    key: ObjectKey,
    options: WriteOptions,
    resolve: (result: WriteResult) => void,
    reject: (error: Error) => void
  ) {
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
    for (const replica of this.#replicas) {
      if (replica !== this.#context.selfId) this.#send(replica)
    }
  }

  /** Refuses at once, before anything is stored, what cannot be acknowledged anyway. */
  #prepare(): void {
    const { selfId, peers } = this.#context
    this.#replicas = replicasOf(this.#context, this.#key)
    this.#quorum = resolveQuorum(this.#options.w, 'w', quorumContext(this.#context, this.#replicas))
    const isUp = (id: string) => id === selfId || peers.acceptsWrites(id)
    if (!canBeMet(this.#quorum, isUp)) {
      const numbers = {
        needed: neededBy(this.#quorum),
        answered: this.#replicas.filter(isUp).length,
        asked: this.#replicas.length
      }
      throw quorumUnavailable(this.#context, 'write', this.#replicas, numbers)
    }
    this.#tally = new WriteTally(this.#replicas, this.#quorum)
  }

  #coordinate(write: Write): void {
    const { local, selfId } = this.#context
    const { result, row, durable } = local.coordinate(this.#key, write)
    this.#coordinated = result
    this.#versions = result.versions
    if (row === null) throw new AnnealError('internal', 'a write left nothing behind')
    this.#object = local.wholeObject(this.#key, row)
    durable.then(
      () => this.#carryOut(this.#tally.add(selfId, { kind: 'acknowledged' })),
      () => this.#carryOut(this.#tally.add(selfId, { kind: 'failed', unknown: false }))
    )
  }

  #send(replica: string): void {
    const { peers, clock } = this.#context
    const { bucket, key } = this.#key
    const channel = this.#object.length > smallMessageBytesMax ? 'bulk' : 'small'
    const timeoutMs = this.#options.timeoutMs - (clock.monotonic() - this.#startedMs)
    const body = { kind: 'replicate', bucket, key, object: this.#object } as const
    peers.request(replica, channel, body, timeoutMs, (outcome) => this.#heard(replica, outcome))
  }

  #heard(replica: string, outcome: Outcome): void {
    if (outcome.kind === 'acknowledged') {
      return this.#carryOut(this.#tally.add(replica, { kind: 'acknowledged' }))
    }
    if (outcome.kind === 'failure' && outcome.code === 'epoch') {
      const retries = this.#epochRetries.get(replica) ?? 0
      if (retries < epochRetriesMax) {
        this.#epochRetries.set(replica, retries + 1)
        return this.#context.peers.exchangeDocuments(replica, () => this.#sendByNewRing(replica))
      }
    }
    if (isOverloaded(outcome)) this.#overloaded.add(replica)
    const unknown = outcome.kind === 'noResponse' && outcome.reason === 'timeout'
    this.#carryOut(this.#tally.add(replica, { kind: 'failed', unknown }))
  }

  /** The member sets differed: by the ring of the exchanged views, some replicas may be new and others count no more. */
  #sendByNewRing(replica: string): void {
    const replicas = replicasOf(this.#context, this.#key)
    const quorum = resolveQuorum(this.#options.w, 'w', quorumContext(this.#context, replicas))
    const added = this.#tally.changeReplicas(replicas, quorum)
    this.#replicas = replicas
    this.#quorum = quorum
    if (replicas.includes(replica) && !added.includes(replica)) this.#send(replica)
    for (const id of added) if (id !== this.#context.selfId) this.#send(id)
  }

  #carryOut(decision: WriteDecision): void {
    if (decision.kind === 'done') this.#done()
    else if (decision.kind === 'fail') this.#fail(decision.timedOut)
  }

  #done(): void {
    const { acknowledged, asked } = this.#tally
    if (this.#coordinated === null) return
    const { context, contextTimeMs, version } = this.#coordinated
    this.#resolve({
      context,
      contextTimeMs,
      contentHash: version.contentHash,
      coordinator: this.#context.selfId,
      answered: acknowledged,
      asked,
      versions: this.#options.returnObject ? this.#versions : null
    })
  }

  #fail(timedOut: boolean): void {
    const { acknowledged, asked } = this.#tally
    const needed = neededBy(this.#quorum)
    const numbers = { needed, answered: acknowledged, asked }
    if (!timedOut && this.#overloaded.size > 0) {
      this.#reject(
        new AnnealError(
          'overloaded',
          `the write needs ${needed} replicas and ${[...this.#overloaded].join(', ')} had too much to do: it is not confirmed, though it may still surface; try again in a second`,
          numbers
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
        `only ${acknowledged} of the ${needed} replicas that the write needs confirmed it within ${timeoutMs} ms: whether it was stored is not known; read the key before you write it again`,
        numbers
      )
    )
  }
}

function isOverloaded(outcome: Outcome): boolean {
  if (outcome.kind === 'failure') return outcome.code === 'overloaded'
  return outcome.kind === 'noResponse' && outcome.reason === 'overloaded'
}
