import type { Watermarks } from '../../repair/watermarks.ts'
import type { RepairService } from './repair-service.ts'

/** Those who have to know. */
interface Listeners {
  readonly service: Pick<RepairService, 'markEarly'>
  readonly watermarks: Pick<Watermarks, 'forget'>
}

type Mark = (listeners: Listeners) => void

/**
 * Brings news of ranges to look at to the repair of the node, and of damage to what it has proven, also what happens
 * before these are there.
 */
export class EarlyMarks {
  #listeners: Listeners | null = null
  #waiting: Mark[] = []

  connect(listeners: Listeners): void {
    this.#listeners = listeners
    for (const mark of this.#waiting) mark(listeners)
    this.#waiting = []
  }

  /** Rows of the partition were found damaged, missing or old. */
  damaged(partition: number): void {
    this.#tell(({ service, watermarks }) => {
      watermarks.forget(partition)
      service.markEarly(partition, 'damage was found')
    })
  }

  /** Rows of the partition may be missing, or old, and nothing is known of it any more. */
  salvaged(partition: number): void {
    this.#tell(({ service }) => service.markEarly(partition, 'damage was found'))
  }

  /** The target may have missed writes that nobody keeps for it any more. */
  missed(partition: number, target: string): void {
    this.#tell(({ service }) => service.markEarly(partition, 'hints were lost', target))
  }

  #tell(mark: Mark): void {
    if (this.#listeners === null) this.#waiting.push(mark)
    else mark(this.#listeners)
  }
}
