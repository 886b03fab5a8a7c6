import { setTimeout as sleep } from 'node:timers/promises'
import { AnnealError } from '../core/errors.ts'
import { salvageLevel, tryLevel } from '../storage/level-salvage.ts'
import type { DatabasePlan, SalvageAnswer } from './node-database.ts'

/** The program of a process that has to do with one damaged database: LevelDB may end it without a word. */

// Ctrl-C reaches every process of the terminal; the parent decides when this one ends.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())

process.once('message', async (received) => {
  // Only the parent can send here, and it is the same program.
  const answer: SalvageAnswer = await carryOut(received as DatabasePlan).then(
    (rows) => ({ rows }),
    (thrown: unknown) => ({ reason: AnnealError.from(thrown).message })
  )
  process.send?.(answer, () => process.exit())
})

async function carryOut(plan: DatabasePlan): Promise<number> {
  const { directory, options } = plan
  if ('way' in plan) return salvageLevel(directory, plan.into, options, plan.way)
  await tryLevel(directory, options, () => sleep(plan.trialMs))
  return 0
}
