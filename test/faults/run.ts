import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CommandLine, parseCommandLine } from './command-line.ts'
import { runInNamespaces, settleInNamespaces } from './namespace-run.ts'
import { missingNeeds } from './prerequisites.ts'
import { isAsItShould, renderTable, type ScenarioResult } from './result-table.ts'
import type { Scenario } from './scenario.ts'
import { abandonCurrent, runScenario, skipped } from './scenario-run.ts'
import { scenarios } from './scenarios.ts'

const interruptedCode = 130
const usageCode = 2
const help = `npm run test:faults [-- --only NAME[,NAME] --rounds N --quick --seed TEXT]

Real processes under real faults. As root on Linux, everything; otherwise what a plain user may do.

${scenarios.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`).join('\n')}`

const args = process.argv.slice(2)

async function main(): Promise<number> {
  const names = scenarios.map(({ name }) => name)
  const commandLine = parseCommandLine(args, names)
  if (commandLine.help) {
    console.log(help)
    return 0
  }
  const { only, inside } = commandLine
  const chosen = scenarios.filter(({ name }) => only.length === 0 || only.includes(name))
  if (inside !== null) {
    await settleInNamespaces()
    process.stdin.once('close', () => process.exit(interruptedCode)).resume()
    return runAll(chosen, commandLine, inside)
  }
  const directory = mkdtempSync(join(tmpdir(), 'anneal-faults-'))
  try {
    const missing = await missingNeeds(
      ['namespaces', ...new Set(chosen.flatMap(({ needs }) => needs))],
      console.log
    )
    if (!missing.has('namespaces')) return await runInNamespaces(args, directory)
    endWithSignals(directory)
    return await runAll(chosen, commandLine, directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function runAll(
  chosen: readonly Scenario[],
  commandLine: CommandLine,
  directory: string
): Promise<number> {
  console.log(`seed ${commandLine.seed}`)
  const results: ScenarioResult[] = []
  const missing = await missingNeeds([...new Set(chosen.flatMap(({ needs }) => needs))], () => {})
  for (const scenario of chosen) {
    const obstacle = scenario.needs.find((need) => missing.has(need))
    results.push(
      obstacle === undefined
        ? await runScenario(scenario, commandLine, directory)
        : skipped(scenario, missing.get(obstacle) ?? '')
    )
  }
  report(results)
  return results.every(isAsItShould) ? 0 : 1
}

function report(results: readonly ScenarioResult[]): void {
  for (const result of results) {
    if (isAsItShould(result)) continue
    console.log(`\n${result.scenario.name} FAILED`)
    for (const text of result.findings.reports) console.log(`  ${text}`)
  }
  console.log(`\n${renderTable(results)}`)
  for (const { scenario, notTried } of results) {
    if (notTried !== null) console.log(`${scenario.name} was not tried: ${notTried}`)
  }
}

/** Outside of namespaces nobody else ends the servers, above all not those that are stopped. */
function endWithSignals(directory: string): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      abandonCurrent()
      rmSync(directory, { recursive: true, force: true })
      process.exit(interruptedCode)
    })
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = usageCode
}
// A server that does not end must not keep the suite from ending; in namespaces it ends with the suite.
process.exit()
