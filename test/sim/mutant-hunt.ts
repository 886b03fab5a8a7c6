import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import type { LifeReport } from './life.ts'
import { drawParameters } from './life-parameters.ts'
import { createMutatedTree, type Mutant } from './mutant.ts'
import { LifePool } from './runner-pool.ts'

export interface Hunt {
  /** Lives until the mutant was noticed, that one included; null: it was not. */
  readonly lives: number | null
  /** The life that noticed it, or null. */
  readonly report: LifeReport | null
  /** The test that noticed it, or null. */
  readonly test: string | null
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
  if (mutant.test !== undefined) return huntByTest(mutant, mutant.test, startedMs)
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
  return { lives: report?.seed ?? null, report, test: null, seconds: secondsSince(startedMs) }
}

async function huntByTest(mutant: Mutant, test: string, startedMs: number): Promise<Hunt> {
  const tree = createMutatedTree(mutant)
  try {
    const { passed, failed } = await runTest(tree.root, test)
    if (passed === 0) throw new Error(`${test} passes nothing with mutant "${mutant.name}"`)
    const noticed = failed > 0 ? test : null
    return { lives: null, report: null, test: noticed, seconds: secondsSince(startedMs) }
  } finally {
    tree.remove()
  }
}

async function runTest(root: string, test: string): Promise<{ passed: number; failed: number }> {
  // What tells a process that it runs inside a test would make the test runner run nothing.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap', test], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const output = await text(child.stdout)
  const count = (name: string) => Number(output.match(new RegExp(`^# ${name} (\\d+)$`, 'm'))?.[1])
  return { passed: count('pass'), failed: count('fail') }
}

function secondsSince(startedMs: number): number {
  return (performance.now() - startedMs) / 1000
}
