import type { ServerProcess } from '../cluster/server-process.ts'
import { heldBy, type ReplicaSeen } from './node-admin.ts'
import { bucket, type CallOutcome, type Oracle } from './oracle.ts'

const writers = 12
const attemptsMax = 20

/** Nothing but a tombstone is there. */
export function isBuried({ state, versions }: ReplicaSeen): boolean {
  return state === 'ok' && versions.length > 0 && versions.every(({ tombstone }) => tombstone)
}

/** Not even a tombstone is there. */
export function isForgotten({ state }: ReplicaSeen): boolean {
  return state === 'missing'
}

/**
 * Many keys that nobody else writes, so that a scenario knows how many must differ. They are under the same oracle as
 * those of the clients.
 */
export class BulkKeys {
  readonly #oracle: Oracle
  readonly #names: readonly string[]

  constructor(oracle: Oracle, prefix: string, count: number) {
    this.#oracle = oracle
    this.#names = Array.from({ length: count }, (_, i) => `${prefix}/${i}`)
  }

  get count(): number {
    return this.#names.length
  }

  /** Each key gets one new value, which replaces what is there. `largeShare`: of 4 KiB or more. */
  write(nodes: readonly ServerProcess[], largeShare = 0): Promise<void> {
    return this.#change(nodes, (node, name, known, index) =>
      this.#oracle.put(node, this.#oracle.historyOf(name), known, index < largeShare * this.count)
    )
  }

  delete(nodes: readonly ServerProcess[]): Promise<void> {
    return this.#change(nodes, (node, name, known) =>
      this.#oracle.delete(node, this.#oracle.historyOf(name), known)
    )
  }

  /** How many of them are as `is` says, by what this node itself holds. */
  async countHeld(node: ServerProcess, is: (held: ReplicaSeen) => boolean): Promise<number> {
    let count = 0
    await this.#each(async (name) => {
      if (is(await heldBy(node, bucket, name))) count++
    })
    return count
  }

  /** Whether all of them are so; cheap where the first is not. */
  async areAll(node: ServerProcess, is: (held: ReplicaSeen) => boolean): Promise<boolean> {
    const [first] = this.#names
    if (first === undefined || !is(await heldBy(node, bucket, first))) return false
    return (await this.countHeld(node, is)) === this.count
  }

  async #change(
    nodes: readonly ServerProcess[],
    write: (
      node: ServerProcess,
      name: string,
      known: Parameters<Oracle['put']>[2],
      index: number
    ) => Promise<CallOutcome>
  ): Promise<void> {
    await this.#each(async (name, index) => {
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const node = nodes[(index + attempt) % nodes.length]
        if (node === undefined) throw new RangeError('nobody to write to')
        const read = await this.#oracle.read(node, this.#oracle.historyOf(name), 'quorum')
        if (read.kind === 'failed') continue
        const written = await write(node, name, read.knowledge, index)
        if (written.kind === 'answered') return
      }
      throw new Error(`${name} could not be written in ${attemptsMax} attempts`)
    })
  }

  async #each(action: (name: string, index: number) => Promise<void>): Promise<void> {
    const waiting = this.#names.entries()
    const work = async () => {
      for (const [index, name] of waiting) await action(name, index)
    }
    await Promise.all(Array.from({ length: writers }, work))
  }
}
