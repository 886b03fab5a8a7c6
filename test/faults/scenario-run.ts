import { join } from 'node:path'
import { SeededRandom } from '../sim/seeded-random.ts'
import { Arena } from './arena.ts'
import type { CommandLine } from './command-line.ts'
import { Findings } from './findings.ts'
import type { ScenarioResult } from './result-table.ts'
import type { Scenario } from './scenario.ts'

/** The scenario that runs at the moment, for whoever has to end everything at once. */
let current: Arena | null = null

/** Runs one scenario to its end and judges it. A scenario that throws has failed; nothing of it is left. */
export async function runScenario(
  scenario: Scenario,
  { rounds, isQuick, seed }: CommandLine,
  directory: string
): Promise<ScenarioResult> {
  const startedMs = performance.now()
  const arena = new Arena({
    directory: join(directory, scenario.name),
    rounds: rounds ?? (isQuick ? scenario.quickRounds : scenario.rounds),
    isQuick,
    random: new SeededRandom(`${seed}/${scenario.name}`),
    say: (text) => console.log(`  ${scenario.name}: ${text}`)
  })
  const { findings } = arena.oracle
  current = arena
  console.log(`${scenario.name}: ${scenario.what}`)
  try {
    await scenario.run(arena)
  } catch (error) {
    findings.surprise(error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    await arena.close()
    current = null
  }
  return {
    scenario,
    notTried: null,
    rounds: arena.roundsDone,
    findings,
    longestGapMs: arena.longestGapMs,
    longestHealingMs: arena.longestHealingMs,
    seconds: (performance.now() - startedMs) / 1000
  }
}

export function skipped(scenario: Scenario, notTried: string): ScenarioResult {
  const nothing = { rounds: 0, longestGapMs: 0, longestHealingMs: 0, seconds: 0 }
  return { scenario, notTried, ...nothing, findings: new Findings() }
}

/** Ends all processes of the scenario that runs, without waiting for them. */
export function abandonCurrent(): void {
  current?.abandon()
}
