import { parseArgs } from 'node:util'
import { huntMutant } from './mutant-hunt.ts'
import { mutants } from './mutant-list.ts'

const usage = `Breaks one rule of the program after the other, in a copy, and sees whether the lives notice.

  npm run sim:mutants [-- --only NAME[,NAME]] [--lives 1000] [--workers N] [--json]

Exit codes: 0 every mutant was noticed, 1 one was not, 2 the arguments are wrong.`

const livesDefault = 1000
const nameCells = 32
const ruleCells = 60

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      lives: { type: 'string', default: String(livesDefault) },
      workers: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  const livesMax = Number(values.lives)
  const names = values.only?.split(',')
  const unknown = names?.filter((name) => !mutants.some((mutant) => mutant.name === name)) ?? []
  if (values.help || unknown.length > 0 || !Number.isSafeInteger(livesMax) || livesMax < 1) {
    const known = mutants.map(({ name }) => `  ${name}`).join('\n')
    const problem =
      unknown.length > 0 ? `there is no mutant ${unknown.join(', ')}; there are\n${known}\n\n` : ''
    console.error(`${problem}${usage}`)
    return values.help ? 0 : 2
  }
  const workers = values.workers === undefined ? {} : { workers: Number(values.workers) }
  const results: object[] = []
  let survivors = 0
  if (!values.json)
    console.log(row(['mutant', 'the rule that it breaks', 'lives', 'seconds', 'noticed as']))
  for (const mutant of mutants) {
    if (names !== undefined && !names.includes(mutant.name)) continue
    const { lives, report, test, seconds } = await huntMutant(mutant, { livesMax, ...workers })
    const [violation] = report?.violations ?? []
    if (lives === null && test === null) survivors++
    const { name, rule } = mutant
    const noticed = violation?.invariant ?? test
    results.push({ name, rule, lives, noticed, detail: violation?.detail, seconds })
    const lived = mutant.test === undefined ? String(lives ?? `> ${livesMax}`) : '-'
    const cells = [name, rule, lived, seconds.toFixed(1)]
    if (!values.json) console.log(row([...cells, noticed ?? 'NOT NOTICED']))
  }
  if (values.json) console.log(JSON.stringify(results, null, 2))
  else console.log(`${results.length} mutants, ${survivors} not noticed within ${livesMax} lives`)
  return survivors === 0 ? 0 : 1
}

/** A rule that is longer than its column goes on in lines of its own. */
function row([name = '', rule = '', lives = '', seconds = '', noticed = '']: string[]): string {
  const lines = wrap(rule)
  const [first = ''] = lines
  const end = [lives.padStart(6), seconds.padStart(8), ` ${noticed}`].join(' ')
  return [
    `${name.padEnd(nameCells)} ${first.padEnd(ruleCells)} ${end}`,
    ...lines.slice(1).map((line) => `${' '.repeat(nameCells)} ${line}`)
  ].join('\n')
}

function wrap(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > ruleCells) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

process.exitCode = await main()
