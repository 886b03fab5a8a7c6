import { AnnealError } from '../core/errors.ts'
import type {
  Consulted,
  ConsultRequest,
  ReplicateRequest,
  Reported,
  ReportRequest,
  Response
} from '../proto/frames.ts'
import { noBytes } from '../proto/wire-format.ts'
import type { ReportExchange } from '../repair/report-exchange.ts'
import { encodeWatermark } from '../repair/watermark-vector.ts'
import { decodeDots, encodeDots } from '../storage/dots-codec.ts'
import { opinionCodes } from './consultation.ts'
import { keyOf } from './coordinator/coordinator-context.ts'
import type { LocalReplica } from './local-replica.ts'
import type { Reception } from './reception.ts'

export interface ArrivalServiceOptions {
  readonly local: LocalReplica
  readonly reception: Reception
  readonly reports: ReportExchange
}

/** Answers peers that bring an object, ask about one, or tell what has been proven. */
export class ArrivalService {
  readonly #options: ArrivalServiceOptions

  constructor(options: ArrivalServiceOptions) {
    this.#options = options
  }

  /** Errors: rejects with DecodeError, `not_ready` where the object cannot be judged yet, or what the store has. */
  async replicate(request: ReplicateRequest, sender: string): Promise<Response> {
    const { local } = this.#options
    const { bucket, key, object, synced } = request
    const outcome = await local.receiveBytes(keyOf(bucket, key), object, sender)
    if (outcome.kind === 'refused') throw new AnnealError('not_ready', outcome.reason)
    if (synced) await local.sync()
    const quarantined = outcome.kind === 'taken' ? noBytes : encodeDots(outcome.dots)
    return { kind: 'acknowledged', quarantined }
  }

  /** Errors: rejects with DecodeError. */
  async consult({ bucket, key, dots }: ConsultRequest): Promise<Consulted> {
    const { opinions, floor } = await this.#options.reception.opinions(
      keyOf(bucket, key),
      decodeDots(dots)
    )
    return {
      kind: 'consulted',
      opinions: Uint8Array.from(opinions, (opinion) => opinionCodes.indexOf(opinion)),
      watermark: encodeWatermark(floor)
    }
  }

  /** Errors: DecodeError. */
  report(request: ReportRequest, sender: string): Reported {
    return this.#options.reports.answer(request, sender)
  }
}
