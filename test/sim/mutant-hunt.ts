import type { LifeReport } from './life.ts'
import { drawParameters } from './life-parameters.ts'
import { createMutatedTree, type Mutant } from './mutant.ts'
import { LifePool } from './runner-pool.ts'

export interface Hunt {
  /** Lives until the mutant was noticed, that one included; null: it was not. */
  readonly lives: number | null
  /** The life that noticed it, or null. */
  readonly report: LifeReport | null
  readonly seconds: number
}

/**
 * Lives with a mutant, from seed 1 on, until something notices it.
 *
 * Errors: where the mutant cannot be made or does not even load; then it proves nothing.
 */
export async function huntMutant(
  mutant: Mutant,
  options: { readonly livesMax: number; readonly workers?: number }
): Promise<Hunt> {
  const { livesMax, ...poolOptions } = options
  const startedMs = performance.now()
  const tree = createMutatedTree(mutant)
  const pool = new LifePool({ ...poolOptions, root: tree.root })
  let next = 1
  const noticed: LifeReport[] = []
  const liveOn = async () => {
    // Lower seeds that are still being lived go to their end, so that the answer is the same on any number of threads.
    while (next <= livesMax && noticed.length === 0) {
      const seed = next++
      const override = mutant.situation?.(drawParameters(seed)) ?? {}
      const { report } = await pool.run({ seed, override })
      if (report.violations.length > 0) noticed.push(report)
    }
  }
  try {
    await Promise.all(Array.from({ length: pool.workers }, liveOn))
  } finally {
    await pool.close()
    tree.remove()
  }
  const [report = null] = noticed.sort((a, b) => a.seed - b.seed)
  const seconds = (performance.now() - startedMs) / 1000
  return { lives: report?.seed ?? null, report, seconds }
}
