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
  /** Bytes that were taken in and are not written yet. */
  readonly pendingBytes: () => number
}

const intervalMs = 2000
// Free space that is about the limit must not make writes stop and go by the second.
const resumeFactor = 1.1
// Of the room that was left, what may be written before the next look.
const unseenFraction = 0.1
const defaultFreeBytes = 256 * 1024 * 1024
const defaultFreeFraction = 0.05

/**
 * Refuses writes while the disk is nearly full: LevelDB needs room to compact, and a database that meets a full disk
 * stops. Reads go on, and writes go on once there is room again. What was written since the last look counts as gone,
 * and much of it brings the next look forward: a fast disk is filled within two seconds.
 */
export class DiskWatch {
  readonly #options: DiskWatchOptions
  #timer: TimerHandle | null = null
  #space: DiskSpace | null = null
  #writtenBytes = 0
  #looking = false
  #closed = false
  #isRefusing = false

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
    const minFreeBytes = this.#minFreeBytes(space) * (this.#isRefusing ? resumeFactor : 1)
    const freeBytes = space.freeBytes - this.#writtenBytes - this.#options.pendingBytes()
    if (freeBytes >= minFreeBytes) return null
    return new AnnealError(
      'disk_full',
      `the disk of node ${this.#options.nodeId} is nearly full: ${freeBytes} bytes are free and writes need ${Math.ceil(minFreeBytes)}; free some space, reads go on`,
      { freeBytes, minFreeBytes: Math.ceil(minFreeBytes) }
    )
  }

  /** Looks once, and from then on every two seconds, or sooner where much is written. */
  async start(): Promise<void> {
    await this.#look()
    if (!this.#closed) this.#timer = this.#options.timers.set(() => void this.start(), intervalMs)
  }

  /** To be told of every batch that was written. */
  noteWritten(bytes: number): void {
    this.#writtenBytes += bytes
    if (this.#space === null || this.#looking) return
    const room = this.#space.freeBytes - this.#minFreeBytes(this.#space)
    if (this.#writtenBytes > room * unseenFraction) void this.#look()
  }

  async #look(): Promise<void> {
    const { log } = this.#options
    this.#looking = true
    try {
      const writtenBefore = this.#writtenBytes
      this.#space = await this.#options.read()
      this.#writtenBytes -= writtenBefore
    } catch (thrown) {
      log.error(
        { reason: AnnealError.from(thrown).message },
        'the free space of the disk cannot be read'
      )
    }
    this.#looking = false
    this.#tell(this.refusal)
  }

  #tell(refusal: AnnealError | null): void {
    const { log } = this.#options
    if (!this.#isRefusing && refusal !== null) log.error({ ...this.#space }, refusal.message)
    if (this.#isRefusing && refusal === null)
      log.info({ ...this.#space }, 'the disk has room again: writes go on')
    this.#isRefusing = refusal !== null
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
