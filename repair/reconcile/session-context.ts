import { DecodeError } from '../../core/errors.ts'
import { noCounters, type SessionCounters } from '../session-outcome.ts'
import { perform, type RowSetAside, type Script } from './calls.ts'
import { collectFacts, idOf, learnFacts, mergeOffers } from './fact-offers.ts'
import { wantedMax } from './message-limits.ts'
import type { Envelope, FactRequest, Question, Reply, ReplyKind } from './messages.ts'
import { PartitionProgress } from './partition-progress.ts'
import { encodeQuestion } from './question-codec.ts'
import type { FactName, FactOffer, RangeSide, RowOutcome, ShippedRow } from './range-side.ts'
import { decodeReply } from './reply-codec.ts'
import { rowBytes, totalRowBytes } from './wire-parts.ts'

export interface SessionOptions {
  /** 8 random bytes. */
  readonly id: Uint8Array
  readonly peer: string
  readonly side: RangeSide
  /** The report table that is to be proven; taken before the session begins, and so before any snapshot of it. */
  readonly table: FactName
  /** In rising order, each locked by this session on this node. */
  readonly partitions: readonly number[]
  /** How long a write normally takes to reach all replicas; a younger difference is looked at again. */
  readonly youngMs: number
  /** Finds and counts, ships and proves nothing. */
  readonly dryRun: boolean
  /** Whose trees both sides recompute from the rows first, as far as they are the session's. */
  readonly recompute: readonly number[]
}

/** A request is carried in a frame: its id, the epoch, the session, and tags. An upper bound, for the index bytes. */
const frameBytes = 64
/** Messages beyond this count among the bytes that repair may move. */
const freeBytesMax = 16 * 1024
const factAttemptsMax = 3
/** A peer whose repair pauses answers with nothing; for so long it is asked again. */
const emptyAnswersMax = 600
const emptyAnswerPauseMs = 1000

type ReplyOf<Kind extends ReplyKind> = Extract<Reply, { kind: Kind }>

/** What the scripts of one session share: the partitions, the counters, and the way to the peer. */
export class SessionContext {
  readonly options: SessionOptions
  readonly side: RangeSide
  readonly partitions: ReadonlyMap<number, PartitionProgress>
  readonly counters: { -readonly [Name in keyof SessionCounters]: number } = { ...noCounters }
  /** Whose trees both sides have recomputed. */
  readonly recomputed: number[] = []
  /** The later of both clocks at the last opening. */
  nowMs = 0
  peerOffers: readonly FactOffer[] = []
  /** Versions that this node set aside, and that the peer is yet to be told of. */
  readonly untold: RowSetAside[] = []
  #number = 0
  readonly #toSend: FactRequest[] = []
  readonly #asked = new Map<string, number>()

  constructor(options: SessionOptions) {
    this.options = options
    this.side = options.side
    this.partitions = new Map(options.partitions.map((p) => [p, new PartitionProgress(p)]))
  }

  inPhase(...phases: readonly PartitionProgress['phase'][]): PartitionProgress[] {
    return [...this.partitions.values()].filter(({ phase }) => phases.includes(phase))
  }

  /**
   * Sends a question and brings the reply; null where the peer does not know the session (any more).
   *
   * Errors: what the request failed with; DecodeError for a reply that does not fit.
   */
  *ask<Kind extends ReplyKind>(question: Question, kind: Kind): Script<ReplyOf<Kind> | null> {
    const number = ++this.#number
    const sent = question.kind === 'exchange' ? question.rows : []
    const payload = encodeQuestion(question, this.#envelope())
    const bytes = payload.length > freeBytesMax ? payload.length : 0
    if (bytes > 0 || bringsRows(question)) yield* perform({ kind: 'budget', bytes })
    const isLong = question.kind === 'verify'
    const answer = yield* perform({ kind: 'ask', number, payload, isLong })
    // Nobody knows beforehand how much an answer brings, so it is paid for afterwards.
    if (answer.length > freeBytesMax) yield* perform({ kind: 'charge', bytes: answer.length })
    const { facts, wanted, reply } = decodeReply(answer)
    this.counters.roundTrips++
    const received = reply.kind === 'exchanged' || reply.kind === 'pulled' ? reply.rows : []
    this.counters.indexBytes += payload.length + answer.length + 2 * frameBytes
    this.counters.indexBytes -= totalRowBytes(sent) + totalRowBytes(received)
    if (reply.kind === 'opened') this.peerOffers = mergeOffers(this.peerOffers, reply.offers)
    learnFacts(this.side, this.options.peer, this.peerOffers, facts)
    // A peer that asks for more has what it needs from the next session.
    for (const request of wanted.slice(0, wantedMax - this.#toSend.length)) {
      this.#toSend.push(request)
    }
    if (reply.kind === 'gone') return null
    if (!isOfKind(reply, kind)) throw new DecodeError(`${reply.kind}, where ${kind} belongs`)
    return reply
  }

  /**
   * The peer answered with nothing where rows were asked for, for the `count`th time in a row.
   *
   * Errors: throws DecodeError where that goes on for very long.
   */
  *awaitRows(count: number): Script<void> {
    if (count > emptyAnswersMax) throw new DecodeError('rows were asked for in vain')
    yield* perform({ kind: 'wait', delayMs: emptyAnswerPauseMs })
  }

  /** The partition begins anew from its root, a few times; then it is left for later. */
  restart(progress: PartitionProgress, reason: string): void {
    if (progress.phase === 'again' || progress.phase === 'over') return
    this.counters.restarts++
    progress.phase = 'again'
    progress.reason = reason
  }

  countSent(row: ShippedRow, progress: PartitionProgress, outcome: RowOutcome): void {
    const bytes = rowBytes(row)
    this.counters.rowsSent++
    this.counters.dataBytesSent += bytes
    progress.rowsSent++
    progress.bytesSent += bytes
    this.#judge(progress, outcome)
  }

  countReceived(row: ShippedRow, progress: PartitionProgress, outcome: RowOutcome): void {
    const bytes = rowBytes(row)
    this.counters.rowsReceived++
    this.counters.dataBytesReceived += bytes
    progress.rowsReceived++
    progress.bytesReceived += bytes
    this.#judge(progress, outcome)
  }

  #judge(progress: PartitionProgress, outcome: RowOutcome): void {
    progress.isToBeLookedAt = true
    if (outcome.kind === 'quarantined') this.counters.quarantined += outcome.dots.length
    if (outcome.kind !== 'refused') return
    this.counters.refused++
    progress.obstacle = `a row was refused: ${outcome.reason}`
  }

  #envelope(): Envelope {
    const { facts, told } = collectFacts(this.side, this.#toSend)
    this.#toSend.splice(0, told)
    return { facts, wanted: this.#wanted() }
  }

  #wanted(): FactRequest[] {
    const wanted = new Map<string, FactRequest>()
    for (const offer of this.peerOffers) {
      const id = idOf(offer)
      const attempts = this.#asked.get(id) ?? 0
      if (wanted.has(id) || attempts >= factAttemptsMax || this.side.knows(offer)) continue
      this.#asked.set(id, attempts + 1)
      wanted.set(id, { kind: offer.kind, name: offer.name })
    }
    return [...wanted.values()]
  }
}

function bringsRows(question: Question): boolean {
  return question.kind === 'pull' || (question.kind === 'exchange' && question.parts.length > 0)
}

function isOfKind<Kind extends ReplyKind>(reply: Reply, kind: Kind): reply is ReplyOf<Kind> {
  return reply.kind === kind
}
