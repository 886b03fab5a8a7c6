import { DecodeError } from '../core/errors.ts'
import type { ConsultRequest } from '../proto/frames.ts'
import {
  type Conclusion,
  type Conclusions,
  conclude,
  type Opinion,
  type Opinions
} from '../repair/arrival.ts'
import {
  decodeWatermark,
  descendsWatermark,
  type WatermarkVector
} from '../repair/watermark-vector.ts'
import { encodeDots } from '../storage/dots-codec.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { type Dot, formatDot } from '../storage/version-vector.ts'
import type { Outcome } from './peer/peer-link.ts'
import type { PeerRequests } from './peer/peers.ts'

export interface ConsultationOptions {
  readonly selfId: string
  readonly peers: Pick<PeerRequests, 'isUp' | 'request'>
  readonly replicasOf: (key: ObjectKey) => readonly string[]
  readonly timeoutMs: number
  readonly inFlightMax: number
}

/** Wire form of an opinion. */
export const opinionCodes: readonly Opinion[] = ['unknown', 'has', 'lacks']

/** Asks other replicas about versions that came up although all were known to have had them. */
export class Consultation {
  readonly #options: ConsultationOptions
  #inFlight = 0

  constructor(options: ConsultationOptions) {
    this.#options = options
  }

  /**
   * What to make of each dot; see `conclude`. `sender`: where the versions came from, which does not count as one of the
   * others. Whoever has a version must answer for all that `watermark` says: an old copy of a disk has what was deleted
   * since. `own`: what this node says itself, where it is a replica that neither sends nor receives.
   */
  async ask(
    key: ObjectKey,
    dots: readonly Dot[],
    sender: string | null,
    watermark: WatermarkVector,
    own: readonly Opinion[] | null = null
  ): Promise<Conclusions> {
    const { selfId, replicasOf, inFlightMax } = this.#options
    const replicas = replicasOf(key).filter((id) => id !== selfId)
    const others = replicas.filter((id) => id !== sender)
    if (this.#inFlight >= inFlightMax) return refuseAll(dots)
    this.#inFlight++
    try {
      const asks = async (id: string) => {
        const heard = await this.askOne(id, key, dots)
        return heard === null ? [] : weighed(heard, watermark)
      }
      const isSenderAsked = sender !== null && replicas.includes(sender)
      const [heard, ofSender] = await Promise.all([
        Promise.all(others.map(asks)),
        isSenderAsked ? asks(sender) : null
      ])
      const answers = own === null ? heard : [own, ...heard]
      const conclusions = new Map<string, Conclusion>()
      for (const [i, dot] of dots.entries()) {
        const opinions = answers.map((all) => all[i] ?? 'unknown')
        const senders = ofSender === null ? null : (ofSender[i] ?? 'unknown')
        conclusions.set(formatDot(dot), conclude(opinions, senders))
      }
      return conclusions
    } finally {
      this.#inFlight--
    }
  }

  /** What one replica says of each dot, as it says it; null where it does not answer. */
  askOne(id: string, key: ObjectKey, dots: readonly Dot[]): Promise<Opinions | null> {
    const { peers, timeoutMs } = this.#options
    const { bucket } = key
    const body: ConsultRequest = { kind: 'consult', bucket, key: key.key, dots: encodeDots(dots) }
    if (!peers.isUp(id)) return Promise.resolve(null)
    return new Promise((resolve) => {
      peers.request(id, 'small', body, timeoutMs, (outcome) => resolve(heardOf(outcome)))
    })
  }
}

function heardOf(outcome: Outcome): Opinions | null {
  if (outcome.kind !== 'consulted') return null
  try {
    const opinions = Array.from(outcome.opinions, (code) => opinionCodes[code] ?? 'unknown')
    return { opinions, floor: decodeWatermark(outcome.watermark) }
  } catch (thrown) {
    if (thrown instanceof DecodeError) return null
    throw thrown
  }
}

/** Whoever cannot answer for all that the watermark says merely claims to have what it has. */
function weighed({ opinions, floor }: Opinions, watermark: WatermarkVector): readonly Opinion[] {
  if (descendsWatermark(floor, watermark)) return opinions
  return opinions.map((opinion) => (opinion === 'has' ? 'claims' : opinion))
}

function refuseAll(dots: readonly Dot[]): Conclusions {
  return new Map(dots.map((dot) => [formatDot(dot), 'refuse']))
}
