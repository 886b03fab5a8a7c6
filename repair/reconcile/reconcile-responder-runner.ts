import { toHex } from '../../core/bytes.ts'
import { AnnealError } from '../../core/errors.ts'
import type { Clock, TimerHandle, Timers } from '../../core/ports.ts'
import type { Failure, Reconciled, ReconcileRequest } from '../../proto/frames.ts'
import type { WorkShare } from '../work-share.ts'
import { CallPerformer } from './call-performer.ts'
import type { Script } from './calls.ts'
import type { Envelope, Reply } from './messages.ts'
import type { PartitionLocks } from './partition-locks.ts'
import { decodeQuestion } from './question-codec.ts'
import type { RangeSide } from './range-side.ts'
import { defaultYoungMs } from './reconcile-runner.ts'
import { encodeReply } from './reply-codec.ts'
import { RequestMemory } from './request-memory.ts'
import { ResponderSession } from './responder-session.ts'
import { ScriptMachine } from './script.ts'

export interface ResponderReport {
  readonly peer: string
  /** Partitions of which a proof was noted. */
  readonly proven: readonly number[]
  readonly rowsSent: number
  readonly rowsReceived: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

export interface ReconcileResponderOptions {
  readonly side: RangeSide
  readonly locks: PartitionLocks
  readonly clock: Clock
  readonly timers: Timers
  readonly share: WorkShare
  readonly budget: (bytes: number, peer: string) => Promise<void>
  readonly youngMs?: number
  /** Told once for each session that a peer began, when it is over, superseded, or silent for too long. */
  readonly onEnd: (report: ResponderReport) => void
}

type Respond = (response: Reconciled | Failure) => void

const idleMs = 10_000
/** A question is answered within this, with nothing while repair pauses here, so that the peer need not give up. */
const budgetWaitMs = 4000
/** Sessions of one peer that are over, and whose late messages must not begin them anew. */
const endedMax = 32

interface PeerSession {
  readonly id: string
  readonly session: ResponderSession
  readonly performer: CallPerformer
  readonly memory: RequestMemory
  idle: TimerHandle
  reported: boolean
}

/**
 * Answers the exchanges that other nodes begin, one of each peer at a time: the thin shell around ResponderSession.
 * A request that comes again is answered with the same answer; a session that falls silent gives its partitions back.
 */
export class ReconcileResponder {
  readonly #options: ReconcileResponderOptions
  readonly #sessions = new Map<string, PeerSession>()
  readonly #ended = new Map<string, string[]>()

  constructor(options: ReconcileResponderOptions) {
    this.#options = options
  }

  /** Errors: DecodeError for a question that cannot be read. Everything else is told by `respond`, once. */
  handle(request: ReconcileRequest, peer: string, respond: Respond): void {
    const asked = decodeQuestion(request.payload)
    const { kind } = asked.question
    const session = this.#sessionFor(
      toHex(request.session),
      peer,
      kind === 'open' || kind === 'verify'
    )
    if (session === null) return respond(reconciled(gone))
    this.#touch(session, peer)
    if (request.number === 0) return this.#notice(session, peer, kind === 'bye', respond)
    const known = session.memory.recall(request.number)
    if (known.kind === 'answered') return respond(reconciled(known.answer))
    if (known.kind === 'forgotten') return respond(reconciled(gone))
    if (known.kind === 'running') {
      known.waiting.push(respond)
      return
    }
    session.memory.begin(request.number, respond)
    const script = session.session.answer(asked.question, asked)
    this.#run(session, peer, { number: request.number, isBye: kind === 'bye' }, script)
  }

  /** Ends everything: this node is stopping, or goes by another ring now. */
  close(): void {
    for (const [peer, session] of this.#sessions) this.#end(peer, session, true)
  }

  get sessions(): number {
    return [...this.#sessions.values()].filter(({ reported }) => !reported).length
  }

  /** Whether the peer has a session that is not over. */
  isOpenWith(peer: string): boolean {
    return this.#sessions.get(peer)?.reported === false
  }

  #sessionFor(id: string, peer: string, opens: boolean): PeerSession | null {
    const current = this.#sessions.get(peer)
    if (current?.id === id) return current
    if (!opens || this.#ended.get(peer)?.includes(id) === true) return null
    if (current !== undefined) this.#end(peer, current, true)
    const { side, locks, clock, timers, share, budget, youngMs = defaultYoungMs } = this.#options
    const performer = new CallPerformer({
      side,
      peer,
      clock,
      timers,
      share,
      budget: (bytes) => budget(bytes, peer),
      budgetWaitMs,
      ask: () => Promise.reject(new AnnealError('internal', 'a responder asks nothing'))
    })
    const options = { id: Buffer.from(id, 'hex'), peer, side, locks, youngMs }
    const session = new ResponderSession(options)
    const memory = new RequestMemory()
    const idle = timers.set(() => {}, idleMs)
    const created = { id, session, performer, memory, idle, reported: false }
    this.#sessions.set(peer, created)
    return created
  }

  #touch(session: PeerSession, peer: string): void {
    const { timers } = this.#options
    timers.clear(session.idle)
    // A session that merely fell silent may be taken up again from its roots, hence it is not among the ended.
    session.idle = timers.set(() => this.#end(peer, session, false), idleMs)
  }

  #notice(session: PeerSession, peer: string, isBye: boolean, respond: Respond): void {
    if (isBye) this.#end(peer, session, true)
    respond(reconciled(kept))
  }

  #run(
    session: PeerSession,
    peer: string,
    { number, isBye }: { readonly number: number; readonly isBye: boolean },
    script: Script<{ reply: Reply } & Envelope>
  ): void {
    const machine = new ScriptMachine(script)
    const driven = {
      start: () => machine.start(),
      step: machine.resume.bind(machine),
      isOver: () => machine.ending !== null
    }
    session.performer.drive(driven, () => {
      const { ending } = machine
      if (ending === null) return
      if (ending.kind === 'returned') {
        const answer = encodeReply(ending.value.reply, ending.value)
        for (const respond of session.memory.answer(number, answer)) respond(reconciled(answer))
      } else {
        const { code, message } = AnnealError.from(ending.error)
        const failure = { kind: 'failure', code, message, details: '' } as const
        for (const respond of session.memory.fail(number)) respond(failure)
      }
      const { isOver, proven } = session.session
      // A bye that comes again finds no session, which tells the peer as much.
      if (isBye) this.#end(peer, session, true)
      else if (isOver && proven.length > 0) this.#report(peer, session)
    })
  }

  #end(peer: string, session: PeerSession, forGood: boolean): void {
    const { timers, locks } = this.#options
    timers.clear(session.idle)
    session.performer.stop()
    locks.releaseAll(session.session)
    if (this.#sessions.get(peer) === session) this.#sessions.delete(peer)
    for (const respond of session.memory.abandon()) respond(reconciled(gone))
    this.#report(peer, session)
    if (!forGood) return
    const ended = this.#ended.get(peer) ?? []
    this.#ended.set(peer, [...ended, session.id].slice(-endedMax))
  }

  #report(peer: string, session: PeerSession): void {
    if (session.reported) return
    session.reported = true
    const { proven, rowsSent, rowsReceived, bytesSent, bytesReceived } = session.session
    this.#options.onEnd({ peer, proven, rowsSent, rowsReceived, bytesSent, bytesReceived })
  }
}

const nothing: Envelope = { facts: [], wanted: [] }
const gone = encodeReply({ kind: 'gone' }, nothing)
const kept = encodeReply({ kind: 'kept' }, nothing)

function reconciled(payload: Buffer): Reconciled {
  return { kind: 'reconciled', payload }
}
