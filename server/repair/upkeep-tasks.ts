import type { Clock } from '../../core/ports.ts'
import type { Collection } from '../../repair/collection.ts'
import type { TreeKeeper } from '../../storage/tree-keeper.ts'
import type { Config } from '../config/schema.ts'
import { type DamageHealingOptions, healDamage } from './damage-healing.ts'
import type { Pacer } from './pacer.ts'
import type { UpkeepTask } from './upkeep.ts'

export interface UpkeepSubjects {
  readonly keeper: TreeKeeper
  readonly collection: Collection
  readonly pacer: Pacer
  /** Whether the node takes writes: what can wait leaves the last of a disk to what cannot. */
  readonly acceptsWrites: () => boolean
  readonly damage: DamageHealingOptions
  /** How often it looks whether there is something to do. */
  readonly lookEveryMs: number
}

/** What scrubbing has come to since the node started. */
export interface Scrubbed {
  rows: number
  /** Leaves that were not what their rows add up to, or held a damaged row. */
  leaves: number
  rounds: number
}

const collectedRowsPerSecond = 1000

/** What a node does over and over for its own rows: writes trees down, scrubs, collects tombstones. */
export function upkeepTasks(
  { keeper, collection, pacer, acceptsWrites, damage, lookEveryMs }: UpkeepSubjects,
  { repair }: Config,
  clock: Clock
): { readonly tasks: readonly UpkeepTask[]; readonly scrubbed: Scrubbed } {
  const scrubbed: Scrubbed = { rows: 0, leaves: 0, rounds: 0 }
  const seconds = lookEveryMs / 1000
  const readOn = resting(clock, repair.intervalMs, async () => {
    // Reading gives way to users as shipping does.
    const fraction = pacer.pace.bytesPerSecond / pacer.bytesPerSecondMax
    const rowsMax = Math.floor(repair.scrubRowsPerSecond * fraction * seconds)
    if (rowsMax === 0) return false
    const { rows, differing, finishedRound } = await keeper.scrubSome(rowsMax)
    scrubbed.rows += rows
    scrubbed.leaves += differing
    if (finishedRound) scrubbed.rounds++
    return finishedRound
  })
  const scrub = async () => {
    if (pacer.pace.state === 'paused') return
    await healDamage(damage)
    await readOn()
  }
  const collect = resting(clock, repair.intervalMs, () =>
    pacer.pace.state === 'paused'
      ? Promise.resolve(false)
      : collection.collectSome(collectedRowsPerSecond * seconds)
  )
  const checkpoint = async () => {
    for (let second = 0; second < seconds; second++) {
      if (!acceptsWrites() || (await keeper.checkpointSome()) === null) return
    }
  }
  const tasks = [
    { name: 'tree checkpoint', everyMs: lookEveryMs, run: checkpoint },
    { name: 'scrub', everyMs: lookEveryMs, run: scrub },
    { name: 'tombstone collection', everyMs: lookEveryMs, run: collect }
  ]
  return { tasks, scrubbed }
}

/** After a round over everything there is nothing to do for a while: few rows need not be read without end. */
function resting(clock: Clock, restMs: number, work: () => Promise<boolean>): () => Promise<void> {
  let nextMs = Number.NEGATIVE_INFINITY
  return async () => {
    if (clock.monotonic() < nextMs) return
    if (await work()) nextMs = clock.monotonic() + restMs
  }
}
