import { ByteReader, ByteWriter, toHex } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import type { RandomSource, TimerHandle, Timers } from '../core/ports.ts'
import type { Reported, ReportRequest } from '../proto/frames.ts'
import { noBytes } from '../proto/wire-format.ts'
import type { Incarnation } from '../storage/version-vector.ts'
import type { FirstHearing } from './first-hearing.ts'
import {
  aboutMax,
  decodeAbout,
  decodeHintedDots,
  encodeAbout,
  encodeHintedDots
} from './hinted-dots-codec.ts'
import { type HintsElsewhere, meetHintedDots } from './hints-elsewhere.ts'
import {
  ended,
  type HintedDots,
  isSettled,
  type OwnIncarnations,
  reportOnRemoved,
  reportOnSelf,
  type Unsettled
} from './report-table.ts'
import { decodeTable, encodeTable } from './report-table-codec.ts'
import {
  type ContentName,
  decodeWatermark,
  encodeWatermark,
  nameOf,
  nameOfWatermark,
  type WatermarkVector
} from './watermark-vector.ts'
import type { Watermarks } from './watermarks.ts'

export interface ReportExchangeOptions {
  readonly watermarks: Watermarks
  readonly hearing: FirstHearing
  readonly partitions: number
  /** What this node can vouch for at this moment; every counter up to the one it names is staged. */
  readonly own: () => OwnIncarnations
  /** What this node's hints hold of each of these incarnations; null: not known yet. */
  readonly hinted: (incarnations: ReadonlySet<Incarnation>) => HintedDots | null
  readonly elsewhere: HintsElsewhere
  /** The other members of the ring, and those that were removed from it. */
  readonly members: () => {
    readonly others: readonly string[]
    readonly removed: readonly string[]
  }
  /** Whether both this node and the peer are replicas. */
  readonly isShared: (partition: number, peer: string) => boolean
  readonly isUp: (id: string) => boolean
  /** Calls back once; null where there was no answer. */
  readonly request: (
    peer: string,
    body: ReportRequest,
    done: (answer: Reported | null) => void
  ) => void
  readonly timers: Timers
  readonly random: RandomSource
  /** How often it looks whom there is to ask, but for those that were not heard yet. */
  readonly lookEveryMs: number
}

/** Whom a refresh has reached. What a member that was missed wrote lately cannot be proven this time. */
export interface Refreshed {
  readonly reached: readonly string[]
  readonly missed: readonly string[]
}

// While somebody who is up has not been heard since this node started: reads wait for it.
const lookEveryMsAtFirst = 200
const refreshEveryMs = 30_000
const nameBytes = 8
// A vector takes some hundred bytes in a large cluster. An answer to many names may hold fewer: the rest is asked for again.
const wantedAtOnceMax = 512
const contentBytesMax = 64 * 1024
const noName = Buffer.alloc(nameBytes)

/**
 * Keeps the table of reports up to date by asking the other members, and tells and hears what has been proven: a node
 * learns at its first contact that it is behind.
 */
export class ReportExchange {
  readonly #options: ReportExchangeOptions
  #heard = new Set<string>()
  #looks = 0
  #timer: TimerHandle | null = null
  #closed = false

  constructor(options: ReportExchangeOptions) {
    this.#options = options
  }

  start(): void {
    const { timers, random, lookEveryMs } = this.#options
    if (this.#closed) return
    this.#timer = timers.set(
      () => {
        this.#look()
        this.start()
      },
      (this.#isAnyDue() ? lookEveryMsAtFirst : lookEveryMs) * (0.75 + random.fraction() / 2)
    )
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) this.#options.timers.clear(this.#timer)
  }

  /** Asks all members that can be reached. The table that follows holds reports that were given after this call. */
  async refresh(): Promise<Refreshed> {
    this.#reportOnSelf()
    const { others } = this.#options.members()
    const answered = await Promise.all(others.map((peer) => this.exchangeWith(peer)))
    return {
      reached: others.filter((_, i) => answered[i] === true),
      missed: others.filter((_, i) => answered[i] !== true)
    }
  }

  /** False where the peer could not be asked. */
  async exchangeWith(peer: string): Promise<boolean> {
    if (this.#closed || !this.#options.isUp(peer)) return false
    const { watermarks } = this.#options
    this.#reportOnSelf()
    const answer = await this.#askAboutHints(peer)
    if (answer === null || this.#closed) return false
    try {
      watermarks.learnReports(decodeTable(answer))
      // What the peer has said of its hints may let this node vouch for more.
      this.#reportOnSelf()
      const { settled, settledName } = encodeTable(watermarks.table)
      const lacksSome = !settledName.equals(answer.settledName)
      if (lacksSome) await this.#ask(peer, { ...this.#compose(peer, noBytes), settled })
      if (await this.#hear(peer, answer.watermarks)) this.#heard.add(peer)
    } catch (thrown) {
      if (!(thrown instanceof DecodeError)) throw thrown
      return false
    }
    return true
  }

  /** Errors: DecodeError for what no node sends. */
  answer(request: ReportRequest, peer: string): Reported {
    const { watermarks } = this.#options
    const about = decodeAbout(request.about)
    this.#reportOnSelf()
    watermarks.learnReports(decodeTable(request))
    void this.#hear(peer, request.watermarks).catch(() => {})
    const { live, settled, settledName } = encodeTable(watermarks.table)
    const isSame = settledName.equals(request.settledName)
    return {
      kind: 'reported',
      live,
      settledName,
      settled: isSame ? noBytes : settled,
      watermarks: this.#namesFor(peer),
      content: this.#contentOf(request.wanted),
      hinted: about.size === 0 ? noBytes : encodeHintedDots(this.#options.hinted(about))
    }
  }

  #isAnyDue(): boolean {
    const { members, isUp, hearing } = this.#options
    return members().others.some((peer) => isUp(peer) && !hearing.hasHeard(peer))
  }

  #look(): void {
    const { members, isUp, lookEveryMs } = this.#options
    if (this.#looks++ % Math.ceil(refreshEveryMs / lookEveryMs) === 0) this.#heard.clear()
    this.#reportOnSelf()
    for (const peer of members().others) {
      if (!isUp(peer)) this.#heard.delete(peer)
      else if (!this.#heard.has(peer)) void this.exchangeWith(peer)
    }
  }

  #reportOnSelf(): void {
    const { watermarks, own, members } = this.#options
    const { others, removed } = members()
    const unsettled = this.#unsettled(others)
    watermarks.learnReports(reportOnSelf(own(), unsettled, watermarks.table))
    for (const id of removed)
      watermarks.learnReports(reportOnRemoved(id, unsettled, watermarks.table))
  }

  #unsettled(others: readonly string[]): Unsettled {
    const { elsewhere, hinted } = this.#options
    return {
      hinted: (incarnations) => {
        const here = hinted(incarnations)
        return here === null ? null : meetHintedDots(here, elsewhere.least(incarnations, others))
      },
      settledUpTo: (incarnation, upTo) => {
        // Of what the present incarnation hands to others this node keeps count itself.
        const isKnown = upTo !== ended || elsewhere.isKnownOf(incarnation, others)
        return isKnown ? elsewhere.settledUpTo(incarnation, upTo) : 0
      }
    }
  }

  /** The incarnations whose hints this node has to ask for: its own, and those of members that cannot ask any more. */
  #incarnationsToAskAbout(): Incarnation[] {
    const { watermarks, own, members } = this.#options
    const { member, present } = own()
    const { removed } = members()
    const found = [present]
    for (const [incarnation, report] of watermarks.table) {
      if (found.length === aboutMax) break
      const isAsked = report.member === member || removed.includes(report.member)
      if (isAsked && incarnation !== present && !isSettled(report)) found.push(incarnation)
    }
    return found
  }

  async #askAboutHints(peer: string): Promise<Reported | null> {
    const incarnations = this.#incarnationsToAskAbout()
    const answered = this.#options.elsewhere.ask(peer, incarnations)
    const about = answered === null ? noBytes : encodeAbout(incarnations)
    const answer = await this.#ask(peer, { ...this.#compose(peer, noBytes), about })
    answered?.(answer === null ? null : hintedOf(answer))
    return answer
  }

  #compose(peer: string, wanted: Uint8Array): ReportRequest {
    const { live, settledName } = encodeTable(this.#options.watermarks.table)
    // Whoever fetches names nothing itself, so that two sides do not go on asking each other back.
    const watermarks = wanted.length > 0 ? noBytes : this.#namesFor(peer)
    return {
      kind: 'report',
      live,
      settledName,
      settled: noBytes,
      watermarks,
      wanted,
      about: noBytes
    }
  }

  #ask(peer: string, body: ReportRequest): Promise<Reported | null> {
    return new Promise((resolve) => this.#options.request(peer, body, resolve))
  }

  /** Runs of partitions with the same watermark: how many, and its name; zeros where nothing is shared or proven. */
  #namesFor(peer: string): Buffer {
    const { watermarks, partitions, isShared } = this.#options
    const writer = new ByteWriter(64)
    let run = 0
    let last: Buffer = noName
    // Partitions mostly share one vector, whose name is then made into bytes once.
    let lastTold: WatermarkVector | null = null
    for (let partition = 0; partition < partitions; partition++) {
      const vector = watermarks.vector(partition)
      const isTold = vector.size > 0 && isShared(partition, peer)
      const told = isTold ? vector : null
      const name = told === lastTold ? last : told === null ? noName : nameBytesOf(told)
      lastTold = told
      if (run > 0 && !name.equals(last)) {
        writer.varint(run).bytes(last)
        run = 0
      }
      last = name
      run++
    }
    return writer.varint(run).bytes(last).finish()
  }

  /** Takes note of the watermarks that a peer names, asking for those that are not known here. False: not of all. */
  async #hear(peer: string, names: Uint8Array): Promise<boolean> {
    const { watermarks, isShared, hearing } = this.#options
    const byName = decodeNames(names, this.#options.partitions)
    const vectors = await this.#vectorsNamed([...byName.keys()], peer)
    if (this.#closed) return false
    for (const [name, vector] of vectors) {
      for (const partition of byName.get(name) ?? []) {
        if (isShared(partition, peer)) watermarks.hear(partition, vector)
      }
    }
    const isComplete = names.length > 0 && vectors.size === byName.size
    if (isComplete) hearing.heard(peer)
    return isComplete
  }

  /** The vectors with these names, asked for where they are not known here; fewer where the peer does not give them. */
  async #vectorsNamed(
    names: readonly ContentName[],
    peer: string
  ): Promise<Map<ContentName, WatermarkVector>> {
    const { watermarks } = this.#options
    const found = new Map<ContentName, WatermarkVector>()
    let missing: ContentName[] = []
    for (const name of names) {
      const vector = watermarks.vectorNamed(name)
      if (vector === null) missing.push(name)
      else found.set(name, vector)
    }
    while (missing.length > 0) {
      const wanted = missing.slice(0, wantedAtOnceMax)
      const answer = await this.#ask(peer, this.#compose(peer, Buffer.from(wanted.join(''), 'hex')))
      if (answer === null || this.#closed) break
      const isWanted = new Set(wanted)
      const reader = new ByteReader(answer.content)
      while (reader.remaining > 0) {
        const content = reader.lengthPrefixed()
        const name = nameOf(content)
        if (isWanted.has(name)) found.set(name, decodeWatermark(content))
      }
      const left = missing.filter((name) => !found.has(name))
      if (left.length === missing.length) break
      missing = left
    }
    return found
  }

  /** The contents that are known of those with these names, one after the other, as far as they fit into an answer. */
  #contentOf(wanted: Uint8Array): Uint8Array {
    const writer = new ByteWriter(64)
    const end = Math.min(wanted.length, wantedAtOnceMax * nameBytes)
    for (let at = 0; at + nameBytes <= end && writer.length < contentBytesMax; at += nameBytes) {
      const name = toHex(wanted.subarray(at, at + nameBytes))
      const vector = this.#options.watermarks.vectorNamed(name)
      if (vector !== null) writer.lengthPrefixed(encodeWatermark(vector))
    }
    return writer.finish()
  }
}

/** What makes no sense tells nothing of the hints. */
function hintedOf({ hinted }: Reported): HintedDots | null {
  try {
    return decodeHintedDots(hinted)
  } catch (thrown) {
    if (!(thrown instanceof DecodeError)) throw thrown
    return null
  }
}

/** Partitions by the name of their watermark. Errors: DecodeError. */
function decodeNames(bytes: Uint8Array, partitionCount: number): Map<string, number[]> {
  const byName = new Map<string, number[]>()
  const reader = new ByteReader(bytes)
  let partition = 0
  while (reader.remaining > 0) {
    const end = partition + reader.varint()
    const name = reader.bytes(nameBytes)
    if (end > partitionCount) throw new DecodeError('watermarks of partitions that do not exist')
    const partitions = byName.get(toHex(name)) ?? []
    for (; partition < end; partition++) if (!name.equals(noName)) partitions.push(partition)
    if (partitions.length > 0) byName.set(toHex(name), partitions)
  }
  return byName
}

function nameBytesOf(vector: WatermarkVector): Buffer {
  return Buffer.from(nameOfWatermark(vector), 'hex')
}
