import { AnnealError } from '../core/errors.ts'
import { salvageLevel } from '../storage/level-salvage.ts'
import type { SalvageAnswer, SalvagePlan } from './node-database.ts'

/** The program of a process that salvages one database: LevelDB may end it without a word. */

// Ctrl-C reaches every process of the terminal; the parent decides when this one ends.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())

process.once('message', async (received) => {
  // Only the parent can send here, and it is the same program.
  const { directory, into, options, way } = received as SalvagePlan
  const answer: SalvageAnswer = await salvageLevel(directory, into, options, way).then(
    (rows) => ({ rows }),
    (thrown: unknown) => ({ reason: AnnealError.from(thrown).message })
  )
  process.send?.(answer, () => process.exit())
})
