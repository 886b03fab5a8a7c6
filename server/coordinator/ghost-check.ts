import { toHex } from '../../core/bytes.ts'
import { type Conclusion, type Conclusions, isKnown } from '../../repair/arrival.ts'
import { isAtOrBelow, type WatermarkVector } from '../../repair/watermark-vector.ts'
import type { Watermarks } from '../../repair/watermarks.ts'
import { partitionOf } from '../../ring/token.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { ConflictMode, Version, Versions } from '../../storage/version.ts'
import { type Dot, formatDot } from '../../storage/version-vector.ts'
import type { Consultation } from '../consultation.ts'
import type { Reception } from '../reception.ts'

/** What one replica has answered a read with. */
export interface HeardAnswer {
  /** The replica, or whom the node that has answered stands in for. */
  readonly replica: string
  readonly versions: Versions
  /** The name of its watermark; empty where it has none, as a node that stands in. */
  readonly watermark: Uint8Array
}

/** A version in doubt: `holder` shows it, and `denier` has it no more. */
interface Doubt {
  readonly version: Version
  readonly holder: string
  readonly denier: string
  /** What the denier has answered for; null: its watermark is not known here, and may be below the version. */
  readonly watermark: WatermarkVector | null
}

export interface Ghosts {
  readonly doubts: readonly Doubt[]
  readonly versions: readonly Version[]
}

export interface GhostCheckOptions {
  readonly selfId: string
  readonly partitions: number
  readonly watermarks: Watermarks
  readonly reception: Reception
  readonly consultation: Consultation
  readonly replicasOf: (key: ObjectKey) => readonly string[]
}

/**
 * The rule of arrival for reads: where one replica shows a version that another had and has no more, the other replicas
 * decide whether it was lost there or has come up from an old disk here.
 */
export class GhostCheck {
  readonly #options: GhostCheckOptions

  constructor(options: GhostCheckOptions) {
    this.#options = options
  }

  /** Null where nothing is in doubt, as when replicas merely have not got the latest writes yet. */
  find(answers: readonly HeardAnswer[], mode: ConflictMode): Ghosts | null {
    const doubts: Doubt[] = []
    for (const { replica: denier, versions: held, watermark: name } of answers) {
      if (name.length === 0) continue
      const watermark = this.#options.watermarks.vectorNamed(toHex(name))
      for (const { replica: holder, versions } of answers) {
        for (const version of versions) {
          if (isKnown(held, version, mode)) continue
          if (watermark !== null && !isAtOrBelow(watermark, version.dot)) continue
          doubts.push({ version, holder, denier, watermark })
        }
      }
    }
    return doubts.length === 0 ? null : { doubts, versions: distinct(doubts) }
  }

  /** What to make of each of the versions. What was in doubt only for want of a watermark is taken. */
  async judge(key: ObjectKey, { doubts, versions }: Ghosts): Promise<Conclusions> {
    const denied = await this.#denied(key, doubts)
    const conclusions = new Map<string, Conclusion>()
    for (const { dot } of versions) conclusions.set(formatDot(dot), 'take')
    if (denied.length === 0) return conclusions
    const dots = distinct(denied).map(({ dot }) => dot)
    const [holder = null, ...furtherHolders] = new Set(denied.map((doubt) => doubt.holder))
    const sender = furtherHolders.length === 0 ? holder : null
    const required = denied.findLast(({ watermark }) => watermark !== null)?.watermark ?? null
    const concluded = await this.#consult(key, dots, sender, required)
    return new Map([...conclusions, ...concluded])
  }

  /** Whether all replicas say that they had these writes, and have let them go. */
  async areGone(key: ObjectKey, dots: readonly Dot[]): Promise<boolean> {
    const conclusions = await this.#consult(key, dots, null, null)
    return dots.every((dot) => conclusions.get(formatDot(dot)) === 'quarantine')
  }

  /** Asks all replicas but the sender, this node among them. `required`: null for what this node knows itself. */
  async #consult(
    key: ObjectKey,
    dots: readonly Dot[],
    sender: string | null,
    required: WatermarkVector | null
  ): Promise<Conclusions> {
    const { selfId, partitions, consultation, reception, replicasOf, watermarks } = this.#options
    const counts = sender !== selfId && replicasOf(key).includes(selfId)
    const own = counts ? (await reception.opinions(key, dots)).opinions : null
    const watermark = required ?? watermarks.vector(partitionOf(key.token, partitions))
    return consultation.ask(key, dots, sender, watermark, own)
  }

  /** Deniers whose watermarks are not known here say themselves which of the versions they have let go. */
  async #denied(key: ObjectKey, doubts: readonly Doubt[]): Promise<readonly Doubt[]> {
    const { consultation } = this.#options
    const open = doubts.filter(({ watermark }) => watermark === null)
    if (open.length === 0) return doubts
    const denied = doubts.filter(({ watermark }) => watermark !== null)
    const ask = async (denier: string) => {
      const own = open.filter((doubt) => doubt.denier === denier)
      const dots = own.map(({ version }) => version.dot)
      const heard = await consultation.askOne(denier, key, dots)
      for (const [i, doubt] of own.entries()) {
        const opinion = heard?.opinions[i] ?? 'lacks'
        if (opinion === 'lacks') denied.push({ ...doubt, watermark: heard?.floor ?? null })
      }
    }
    await Promise.all([...new Set(open.map(({ denier }) => denier))].map(ask))
    return denied
  }
}

/** The versions in doubt, each once. */
function distinct(doubts: readonly Doubt[]): Version[] {
  const byDot = new Map(doubts.map(({ version }) => [formatDot(version.dot), version]))
  return [...byDot.values()]
}
