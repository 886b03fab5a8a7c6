import type { Clock, Log } from '../../core/ports.ts'
import type { RefusalCode } from './handshake.ts'

const quietMs = 60_000
const rememberedMax = 256

/** Logs a refused handshake once a minute for each reason: a misconfigured peer tries again every two seconds. */
export class RefusalLog {
  readonly #log: Log
  readonly #clock: Clock
  readonly #lastMs = new Map<string, number>()

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  refused(remote: string, code: RefusalCode, detail: string): void {
    const key = `${code} ${detail}`
    const nowMs = this.#clock.monotonic()
    const lastMs = this.#lastMs.get(key)
    if (lastMs !== undefined && nowMs - lastMs < quietMs) return
    if (this.#lastMs.size >= rememberedMax) this.#lastMs.clear()
    this.#lastMs.set(key, nowMs)
    this.#log.error({ remote, code, detail }, 'peer refused')
  }
}
