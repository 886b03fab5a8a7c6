import { AnnealError, DecodeError } from '../../core/errors.ts'
import type { TimerHandle } from '../../core/ports.ts'
import { noBytes } from '../../proto/wire-format.ts'
import type { Conclusion, Conclusions } from '../../repair/arrival.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import { decodeForeignObject } from '../../storage/object-codec.ts'
import {
  contextOf,
  hashObject,
  latestTimeOf,
  type Version,
  type Versions
} from '../../storage/version.ts'
import { descends, formatDot, missingFrom } from '../../storage/version-vector.ts'
import type { CausalContext } from '../context-token.ts'
import { nothingHash } from '../local-replica.ts'
import type { Outcome } from '../peer/peer-link.ts'
import {
  type CoordinatorContext,
  notInTime,
  quorumContext,
  quorumUnavailable,
  replicasOf,
  standInsFor
} from './coordinator-context.ts'
import type { Ghosts } from './ghost-check.ts'
import {
  anyReplica,
  canBeMet,
  type Quorum,
  type QuorumNumbers,
  resolveQuorum,
  shortfall
} from './quorum.ts'
import type { ReadCoordinator, ReadOptions, ReadResult } from './read-coordinator.ts'
import { type ReadAnswer, type ReadDecision, ReadTally } from './read-tally.ts'
import type { StandIns } from './stand-ins.ts'

const epochRetriesMax = 3
const staleMessage =
  'no replica that can be reached holds all that the given Causal-Context has seen: try again, or read without it'

/** One read, from the first question to the last answer: the effects around a ReadTally. */
export class ReadOperation {
  readonly #coordinator: ReadCoordinator
  readonly #context: CoordinatorContext
  readonly #key: ObjectKey
  readonly #options: ReadOptions
  readonly #resolve: (result: ReadResult) => void
  readonly #reject: (error: Error) => void
  readonly #startedMs: number
  #tally: ReadTally
  #quorum: Quorum = []
  #replicas: readonly string[] = []
  /** Who is left to stand in; null before anybody had to. */
  #standIns: StandIns | null = null
  /** Who is asked in place of which replica; nearly always nobody. */
  #inPlace: { readonly replica: string; readonly node: string }[] = []
  /** What this node holds itself; remote replicas answer "same" to its hash. */
  #own: ReadAnswer | null = null
  #speculation: TimerHandle | null = null
  #epochRetries = 0
  #round = 0
  #settled = false
  /** What the other replicas have concluded about what was in doubt; by dot. */
  #conclusions: Map<string, Conclusion> | null = null
  /** What the answer must know of; null where anything will do, or all replicas have let it go. */
  #atLeast: CausalContext | null

  constructor(
    coordinator: ReadCoordinator,
    key: ObjectKey,
    options: ReadOptions,
    resolve: (result: ReadResult) => void,
    reject: (error: Error) => void
  ) {
    this.#coordinator = coordinator
    this.#context = coordinator.options.context
    this.#key = key
    this.#options = options
    this.#atLeast = options.atLeast
    this.#resolve = resolve
    this.#reject = reject
    this.#startedMs = this.#context.clock.monotonic()
    this.#tally = new ReadTally([], [], 'siblings')
  }

  start(): void {
    const { local, peers, random, selfId } = this.#context
    const ringReplicas = replicasOf(this.#context, this.#key)
    const isUp = (id: string) => id === selfId || peers.isUp(id)
    const allUp = ringReplicas.every(isUp)
    this.#replicas = inAskingOrder(ringReplicas, selfId, allUp ? anyReplica : isUp)
    try {
      const quorum = quorumContext(this.#context, this.#replicas)
      this.#quorum = resolveQuorum(this.#options.r, 'r', quorum)
    } catch (thrown) {
      return this.#fail(AnnealError.from(thrown))
    }
    this.#inPlace = []
    this.#standIns = null
    this.#conclusions = null
    if (!allUp) for (const replica of ringReplicas) if (!isUp(replica)) this.#standIn(replica)
    const answers = (id: string) => isUp(id) || this.#nodeFor(id) !== id
    if (!canBeMet(this.#quorum, allUp ? anyReplica : answers)) {
      return this.#unavailable(shortfall(this.#quorum, answers, anyReplica))
    }
    this.#round++
    this.#tally = new ReadTally(this.#replicas, this.#quorum, local.mode(this.#key))
    const { policy } = this.#coordinator.options
    const all = policy.mode !== 'off' && random.fraction() < policy.probability
    this.#ask(this.#tally.start(all))
  }

  /** Finds somebody who answers for the replica. Answers whether there is one. */
  #standIn(replica: string): boolean {
    const { hints, peers, selfId } = this.#context
    if (hints === null || !this.#options.sloppy || this.#nodeFor(replica) !== replica) return false
    const isHealthy = (id: string) => id === selfId || peers.isUp(id)
    this.#standIns ??= standInsFor(this.#context, this.#key, isHealthy)
    const node = this.#standIns.take(replica)
    if (node !== null) this.#inPlace.push({ replica, node })
    return node !== null
  }

  /** The node that is asked for what the replica holds: nearly always the replica. */
  #nodeFor(replica: string): string {
    if (this.#inPlace.length === 0) return replica
    return this.#inPlace.find((other) => other.replica === replica)?.node ?? replica
  }

  /** The local replica comes first, so that the others can be asked with its hash at hand. */
  #ask(replicas: readonly string[]): void {
    const { selfId, local } = this.#context
    const round = this.#round
    if (replicas.includes(selfId)) {
      const heard = local.hearing(this.#key)
      if (heard === null) this.#readOwn()
      else {
        this.#speculateLater()
        void heard.then(() => {
          if (round === this.#round) this.#readOwn()
        })
      }
    }
    for (const replica of replicas) {
      if (replica === selfId || round !== this.#round) continue
      if (this.#nodeFor(replica) === selfId) this.#answerFor(replica)
      else this.#askRemote(replica, 'small')
    }
  }

  /** This node itself stands in for the replica. */
  #answerFor(replica: string): void {
    const { hints } = this.#context
    if (hints === null) return this.#add(replica, { kind: 'failed', unknown: false })
    try {
      this.#add(replica, { kind: 'versions', ...hints.read(this.#key) })
    } catch (thrown) {
      if (!(thrown instanceof AnnealError)) throw thrown
      this.#add(replica, { kind: 'failed', unknown: false })
    }
  }

  #readOwn(): void {
    const { selfId } = this.#context
    this.#own = this.#readLocal()
    this.#add(selfId, this.#own)
  }

  #readLocal(): ReadAnswer {
    try {
      return this.#context.local.read(this.#key)
    } catch (thrown) {
      // The store has failed: this node is about to stop, and the other replicas answer.
      if (thrown instanceof AnnealError) return { kind: 'failed', unknown: false }
      throw thrown
    }
  }

  #askRemote(replica: string, channel: 'small' | 'bulk'): void {
    const { peers, clock } = this.#context
    const round = this.#round
    const node = this.#nodeFor(replica)
    const sentMs = clock.monotonic()
    const timeoutMs = this.#options.timeoutMs - (sentMs - this.#startedMs)
    const objectHash = this.#own?.kind === 'versions' ? this.#own.objectHash : noBytes
    const body = {
      kind: 'read',
      bucket: this.#key.bucket,
      key: this.#key.key,
      objectHash,
      standIn: node !== replica
    } as const
    this.#speculateLater()
    peers.request(node, channel, body, timeoutMs, (outcome) => {
      if (outcome.kind === 'readReply') {
        this.#coordinator.observeRemote(clock.monotonic() - sentMs)
        if (outcome.useBulk && channel === 'small') return this.#askRemote(replica, 'bulk')
      }
      if (round === this.#round) this.#heard(replica, outcome)
    })
  }

  #heard(replica: string, outcome: Outcome): void {
    if (outcome.kind === 'failure' && outcome.code === 'epoch' && !this.#settled) {
      if (this.#epochRetries++ < epochRetriesMax) return this.#startOver(this.#nodeFor(replica))
    }
    const isGone = outcome.kind === 'noResponse' && outcome.reason !== 'timeout'
    if (isGone && !this.#settled && this.#standIn(replica)) return this.#ask([replica])
    this.#add(replica, this.#toAnswer(outcome, replica))
  }

  /** The two sides go by different member sets: once the views are exchanged, the replicas may be others. */
  #startOver(replica: string): void {
    this.#round++
    this.#context.peers.exchangeDocuments(replica, () => this.start())
  }

  #toAnswer(outcome: Outcome, replica: string): ReadAnswer {
    if (outcome.kind === 'noResponse')
      return { kind: 'failed', unknown: outcome.reason === 'timeout' }
    if (outcome.kind !== 'readReply') {
      const isOwnAnswer = this.#nodeFor(replica) === replica
      const behind = isOwnAnswer && outcome.kind === 'failure' && outcome.code === 'not_ready'
      return { kind: 'failed', unknown: false, behind }
    }
    if (outcome.damaged) return { kind: 'damaged' }
    if (outcome.same) return this.#own ?? { kind: 'failed', unknown: false }
    if (outcome.object.length === 0)
      return {
        kind: 'versions',
        versions: [],
        objectHash: nothingHash,
        watermark: outcome.watermark
      }
    try {
      const versions = decodeForeignObject(outcome.object)
      const objectHash = hashObject(versions)
      return { kind: 'versions', versions, objectHash, watermark: outcome.watermark }
    } catch (thrown) {
      if (thrown instanceof DecodeError) return { kind: 'failed', unknown: false }
      throw thrown
    }
  }

  #add(replica: string, answer: ReadAnswer): void {
    this.#carryOut(this.#tally.add(replica, answer, this.#nodeFor(replica) !== replica))
    if (this.#settled && this.#tally.complete) this.#repairStale(() => {})
  }

  #carryOut(decision: ReadDecision): void {
    if (decision.kind === 'ask') this.#ask(decision.replicas)
    else if (decision.kind === 'answer') this.#answer(decision.versions)
    else if (decision.kind === 'fail') {
      if (decision.timedOut) this.#timeout()
      else this.#unavailable(this.#tally.shortfall)
    }
  }

  #answer(versions: Versions): void {
    const atLeast = this.#atLeast
    if (atLeast !== null && !this.#isNewEnough(versions, atLeast)) {
      const more = this.#tally.widen()
      if (more !== null) return this.#ask(more)
      return this.#askWhetherGone(versions, atLeast)
    }
    if (this.#conclusions === null && this.#settleGhosts()) return
    const { policy } = this.#coordinator.options
    const { answered, asked, hinted } = this.#tally
    const result = { versions, answered, asked, hinted }
    if (policy.mode === 'sync' && this.#tally.complete)
      this.#answerAfterRepair(result, policy.waitMs)
    else this.#settle(() => this.#resolve(result))
  }

  /**
   * Where the latest write wins, earlier ones are dropped without a trace in any past; there a time that is no earlier
   * says that what was seen is there or has given way.
   */
  #isNewEnough(versions: Versions, { vector, timeMs }: CausalContext): boolean {
    if (descends(contextOf(versions), vector)) return true
    return this.#context.local.mode(this.#key) === 'lww' && latestTimeOf(versions) >= timeMs
  }

  /** A delete that has come to rest leaves nothing behind, and whoever had seen it has seen nothing that there still is. */
  #askWhetherGone(versions: Versions, { vector }: CausalContext): void {
    const { ghosts } = this.#coordinator.options
    const unknown = missingFrom(contextOf(versions), vector)
    ghosts.areGone(this.#key, unknown).then(
      (areGone) => {
        if (this.#settled) return
        if (!areGone) return this.#fail(new AnnealError('stale', staleMessage))
        this.#atLeast = null
        this.#answer(versions)
      },
      (error: unknown) => this.#fail(AnnealError.from(error))
    )
  }

  /** Whether replicas that had some version have it no more, so that the others are asked before it is shown. */
  #settleGhosts(): boolean {
    const found = this.#findGhosts()
    if (found === null) return false
    this.#judge(found).then(
      (conclusions) => this.#judged(conclusions),
      (error: unknown) => this.#fail(AnnealError.from(error))
    )
    return true
  }

  #findGhosts(): Ghosts | null {
    const { selfId, local } = this.#context
    const answers = this.#tally.differing()
    if (answers.length === 0) return null
    return this.#coordinator.options.ghosts.find(
      answers.map((answer) => {
        const own = answer.replica === selfId ? local.watermarkName(this.#key) : noBytes
        return { ...answer, watermark: answer.watermark ?? own }
      }),
      local.mode(this.#key)
    )
  }

  async #judge(found: Ghosts): Promise<Conclusions> {
    const known = this.#conclusions ?? new Map<string, Conclusion>()
    this.#conclusions = known
    const conclusions = await this.#coordinator.options.ghosts.judge(this.#key, found)
    for (const [dot, conclusion] of conclusions) known.set(dot, conclusion)
    return conclusions
  }

  #judged(conclusions: Conclusions): void {
    if (this.#settled) return
    if ([...conclusions.values()].includes('refuse')) {
      return this.#fail(
        new AnnealError(
          'not_ready',
          'one replica holds a version that another has let go, and not all of the others can be asked now which of them is right: try again later'
        )
      )
    }
    const isHidden = ({ dot }: Version) => conclusions.get(formatDot(dot)) === 'quarantine'
    this.#answer(this.#tally.mergedWithout(isHidden))
  }

  #answerAfterRepair(result: ReadResult, waitMs: number): void {
    const { timers } = this.#context
    const answer = () => {
      timers.clear(timer)
      if (!this.#settled) this.#settle(() => this.#resolve(result))
    }
    const timer = timers.set(answer, waitMs)
    this.#repairStale(answer)
  }

  #repairStale(done: () => void): void {
    const { repair, policy, onStale } = this.#coordinator.options
    // Damage is no matter of policy: a replica that cannot read its row gives no answer until it has a copy.
    const isOff = policy.mode === 'off'
    if (isOff && !this.#tally.hasDamage) return done()
    const versions = this.#tally.merged()
    const stale = isOff ? this.#tally.damaged(versions) : this.#tally.stale(versions)
    if (stale.length === 0) return done()
    const push = (mayPass: boolean) => {
      if (!mayPass) return done()
      onStale(stale.length)
      repair.repair(this.#key, versions, stale, done)
    }
    const found = this.#findGhosts()
    if (found === null) return push(true)
    this.#mayPassOn(found).then(push, () => push(false))
  }

  /**
   * What nobody has judged yet may have come with an answer after the read was over, or with one that was not new enough
   * for the reader. A ghost is not passed on: the next exchange with its holder sets it aside. A tombstone brings nothing
   * back, and may be all that a replica with a damaged row can be given.
   */
  async #mayPassOn(found: Ghosts): Promise<boolean> {
    const dots = found.versions.flatMap(({ dot, tombstone }) => (tombstone ? [] : formatDot(dot)))
    if (!dots.every((dot) => this.#conclusions?.has(dot))) await this.#judge(found)
    return dots.every((dot) => this.#conclusions?.get(dot) === 'take')
  }

  #speculateLater(): void {
    if (this.#speculation !== null || this.#settled) return
    const { timers } = this.#context
    const ask = () => {
      if (this.#settled) return
      const more = this.#tally.speculate()
      if (more.length > 0) this.#coordinator.options.onSpeculation()
      this.#ask(more)
    }
    this.#speculation = timers.set(ask, this.#coordinator.speculationDelayMs)
  }

  #timeout(): void {
    this.#fail(notInTime('read', this.#tally.shortfall, this.#options.timeoutMs))
  }

  #unavailable(numbers: QuorumNumbers): void {
    const { behind } = this.#tally
    this.#fail(quorumUnavailable(this.#context, 'read', this.#replicas, numbers, behind))
  }

  #fail(error: AnnealError): void {
    if (!this.#settled) this.#settle(() => this.#reject(error))
  }

  #settle(tell: () => void): void {
    this.#settled = true
    if (this.#speculation !== null) this.#context.timers.clear(this.#speculation)
    tell()
  }
}

/** This node itself, then those that are up, then the rest, each in the order of the ring. */
function inAskingOrder(
  replicas: readonly string[],
  selfId: string,
  isUp: (id: string) => boolean
): readonly string[] {
  const rank = (id: string) => (id === selfId ? 0 : isUp(id) ? 1 : 2)
  if (replicas[0] === selfId && replicas.every(isUp)) return replicas
  return [...replicas].sort((a, b) => rank(a) - rank(b))
}
