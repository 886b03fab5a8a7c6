import { AnnealError } from '../core/errors.ts'
import type { HashTrees } from './hash-trees.ts'
import { type RecountContext, recountLeaves } from './leaf-recounting.ts'

interface Waiting {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Counts distrusted leaves again, in the background, one partition after the other and first those that somebody waits
 * for. Each slice of rows is read on another thread, so that others have their turns in between.
 */
export class TreeRestorer {
  readonly #context: RecountContext
  readonly #trees: HashTrees
  readonly #onFailure: (partition: number, error: unknown) => void
  readonly #distrusted = new Set<number>()
  readonly #waiting = new Map<number, Waiting>()
  /** Ends in the turn in which nothing was left, so that whoever comes later begins anew. */
  #isRunning = false
  #run: Promise<void> = Promise.resolve()
  #stopped: AnnealError | null = null

  constructor(context: RecountContext, onFailure: (partition: number, error: unknown) => void) {
    this.#context = context
    this.#trees = context.trees
    this.#onFailure = onFailure
    context.trees.onDistrust((partition) => this.#wake(partition))
  }

  /**
   * Resolves when every leaf of the partition is trusted.
   *
   * Errors: rejects with `not_ready` once this has stopped, with `internal` where the rows cannot be read.
   */
  ready(partition: number): Promise<void> {
    if (this.#trees.isTrusted(partition)) return Promise.resolve()
    if (this.#stopped !== null) return Promise.reject(this.#stopped)
    const waiting = this.#waiting.get(partition) ?? this.#wait(partition)
    this.#wake(partition)
    return waiting.promise
  }

  /** Resolves when nothing is being counted any more. */
  async stop(): Promise<void> {
    this.#end(new AnnealError('not_ready', 'this node is stopping; try another one'))
    await this.#run
  }

  #wait(partition: number): Waiting {
    let resolve = () => {}
    let reject: (error: unknown) => void = () => {}
    const promise = new Promise<void>((yes, no) => {
      resolve = yes
      reject = no
    })
    // Whoever waits sees the rejection.
    promise.catch(() => {})
    const waiting = { promise, resolve, reject }
    this.#waiting.set(partition, waiting)
    return waiting
  }

  #wake(partition: number): void {
    this.#distrusted.add(partition)
    if (this.#isRunning || this.#stopped !== null) return
    this.#isRunning = true
    this.#run = this.#restoreAll()
  }

  async #restoreAll(): Promise<void> {
    // Leaves are distrusted in the middle of reads and changes, which have to end first.
    await null
    for (;;) {
      const partition = this.#next()
      if (partition === undefined || this.#stopped !== null) break
      try {
        await this.#restore(partition)
      } catch (thrown) {
        this.#giveUp(partition, thrown)
      }
    }
    this.#isRunning = false
  }

  /** A store that has failed or is closing fails for good; files that cannot be read may do so in one place only. */
  #giveUp(partition: number, thrown: unknown): void {
    this.#onFailure(partition, thrown)
    if (thrown instanceof AnnealError) return this.#end(thrown)
    this.#distrusted.delete(partition)
    const reason = AnnealError.from(thrown).message
    this.#waiting
      .get(partition)
      ?.reject(
        new AnnealError(
          'internal',
          `rows of partition ${partition} cannot be read: ${reason}. If it stays so, move the data directory away and start again: the node comes back empty and takes its data from the other replicas`,
          { partition },
          thrown
        )
      )
    this.#waiting.delete(partition)
  }

  #next(): number | undefined {
    const [wanted] = this.#waiting.keys()
    if (wanted !== undefined) return wanted
    const [partition] = this.#distrusted
    return partition
  }

  async #restore(partition: number): Promise<void> {
    for (const { first, end } of this.#trees.distrustedRuns(partition)) {
      if (this.#stopped !== null) return
      await recountLeaves(this.#context, { partition, first, end })
    }
    if (!this.#trees.isTrusted(partition)) return
    this.#distrusted.delete(partition)
    this.#waiting.get(partition)?.resolve()
    this.#waiting.delete(partition)
  }

  #end(reason: AnnealError): void {
    this.#stopped ??= reason
    for (const { reject } of this.#waiting.values()) reject(reason)
    this.#waiting.clear()
  }
}
