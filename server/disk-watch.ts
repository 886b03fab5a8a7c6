import { AnnealError } from '../core/errors.ts'
import type { Log, TimerHandle, Timers } from '../core/ports.ts'

export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface DiskWatchOptions {
  readonly read: () => Promise<DiskSpace>
  readonly timers: Timers
  readonly log: Log
  /** Null: the smaller of 256 MiB and 5 % of the file system. */
  readonly minFreeBytes: number | null
  readonly nodeId: string
}

const intervalMs = 2000
const defaultFreeBytes = 256 * 1024 * 1024
const defaultFreeFraction = 0.05

/**
 * Refuses writes while the disk is nearly full: LevelDB needs room to compact, and a database that meets a full disk
 * stops. Reads go on, and writes go on once there is room again.
 */
export class DiskWatch {
  readonly #options: DiskWatchOptions
  #timer: TimerHandle | null = null
  #space: DiskSpace | null = null
  #closed = false

  constructor(options: DiskWatchOptions) {
    this.#options = options
  }

  get space(): DiskSpace | null {
    return this.#space
  }

  /** Why writes are refused at the moment; null where they are not. */
  get refusal(): AnnealError | null {
    const space = this.#space
    if (space === null) return null
    const minFreeBytes = this.#minFreeBytes(space)
    if (space.freeBytes >= minFreeBytes) return null
    return new AnnealError(
      'disk_full',
      `the disk of node ${this.#options.nodeId} is nearly full: ${space.freeBytes} bytes are free and writes need ${minFreeBytes}; free some space, reads go on`,
      { freeBytes: space.freeBytes, minFreeBytes }
    )
  }

  /** Looks once, and from then on every two seconds. */
  async start(): Promise<void> {
    const { timers, log } = this.#options
    const before = this.refusal
    try {
      this.#space = await this.#options.read()
    } catch (thrown) {
      log.error(
        { reason: AnnealError.from(thrown).message },
        'the free space of the disk cannot be read'
      )
    }
    const after = this.refusal
    if (before === null && after !== null) log.error({ ...this.#space }, after.message)
    if (before !== null && after === null)
      log.info({ ...this.#space }, 'the disk has room again: writes go on')
    if (!this.#closed) this.#timer = timers.set(() => void this.start(), intervalMs)
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) this.#options.timers.clear(this.#timer)
  }

  #minFreeBytes({ totalBytes }: DiskSpace): number {
    return (
      this.#options.minFreeBytes ?? Math.min(defaultFreeBytes, totalBytes * defaultFreeFraction)
    )
  }
}
