import { toHex } from '../../core/bytes.ts'
import { type Conclusions, isKnown } from '../../repair/arrival.ts'
import { isAtOrBelow, noWatermark, type WatermarkVector } from '../../repair/watermark-vector.ts'
import type { Watermarks } from '../../repair/watermarks.ts'
import { partitionOf } from '../../ring/token.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { ConflictMode, Version, Versions } from '../../storage/version.ts'
import { compareDots } from '../../storage/version-vector.ts'
import type { Consultation } from '../consultation.ts'
import type { Reception } from '../reception.ts'

/** What one replica has answered a read with. */
export interface HeardAnswer {
  readonly replica: string
  readonly versions: Versions
  /** The name of its watermark; empty where it has none. */
  readonly watermark: Uint8Array
}

/** Versions in doubt, all of them held by `holder`; null: by several. */
export interface Ghosts {
  readonly versions: readonly Version[]
  readonly holder: string | null
  /** What those who lack them have answered for. */
  readonly watermark: WatermarkVector
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
    const doubtful = new Map<Version, string | null>()
    let required = noWatermark
    for (const denier of answers) {
      if (denier.watermark.length === 0) continue
      // A watermark that is not known here may cover anything; then those who know better are asked in vain.
      const vector = this.#options.watermarks.vectorNamed(toHex(denier.watermark))
      for (const { replica, versions } of answers) {
        for (const version of versions) {
          if (isKnown(denier.versions, version, mode)) continue
          if (vector !== null && !isAtOrBelow(vector, version.dot)) continue
          note(doubtful, version, replica)
          if (vector !== null) required = vector
        }
      }
    }
    if (doubtful.size === 0) return null
    const holders = new Set(doubtful.values())
    const [holder = null] = holders
    return {
      versions: [...doubtful.keys()],
      holder: holders.size === 1 ? holder : null,
      watermark: required
    }
  }

  async judge(key: ObjectKey, { versions, holder, watermark }: Ghosts): Promise<Conclusions> {
    const { selfId, partitions, consultation, reception, replicasOf, watermarks } = this.#options
    const dots = versions.map(({ dot }) => dot)
    const counts = holder !== selfId && replicasOf(key).includes(selfId)
    const own = counts ? (await reception.opinions(key, dots)).opinions : null
    const known =
      watermark.size > 0 ? watermark : watermarks.vector(partitionOf(key.token, partitions))
    return consultation.ask(key, dots, holder, known, own)
  }
}

function note(doubtful: Map<Version, string | null>, version: Version, holder: string): void {
  for (const [other, known] of doubtful) {
    if (compareDots(other.dot, version.dot) !== 0) continue
    if (known !== holder) doubtful.set(other, null)
    return
  }
  doubtful.set(version, holder)
}
