import { type LifeOptions, life, type Outcome } from './life.ts'
import { type Rules, soundRules } from './mutants.ts'
import type { Verdict } from './true-history.ts'

export interface Kind extends LifeOptions {
  readonly name: string
}

const everyFault = { crash: true, forget: true, damage: true, oldDisk: true }

/** The circumstances under which nothing may go wrong, each in buckets of both kinds. */
export const soundKinds: readonly Kind[] = (['siblings', 'lww'] as const).flatMap((mode) => [
  { name: `${mode}: lost and late messages, pauses, restarts`, mode },
  { name: `${mode}: old disks come back`, mode, faults: { oldDisk: true } },
  { name: `${mode}: a replica forgets its row`, mode, faults: { forget: true } },
  { name: `${mode}: the row of a replica turns old`, mode, faults: { turnOld: true } },
  { name: `${mode}: crashes, rows that turn old`, mode, faults: { crash: true, turnOld: true } },
  { name: `${mode}: what a replica stores is damaged`, mode, faults: { damage: true } },
  { name: `${mode}: crashes, old disks`, mode, faults: { crash: true, oldDisk: true } },
  { name: `${mode}: crashes, damage`, mode, faults: { crash: true, damage: true } },
  { name: `${mode}: every fault, unsynced`, mode, faults: everyFault, durability: 'os' as const },
  // The rule for new epochs alone keeps this sound; sending the merged object brings replicas together sooner.
  {
    name: `${mode}: only the new version is replicated`,
    mode,
    faults: { crash: true, forget: true },
    rules: { ...soundRules, replicate: 'minted' as const }
  },
  {
    name: `${mode}: a copy of a cleanly stopped disk is started`,
    mode,
    faults: { cleanOldDisk: true }
  }
])

/** Schemes in which one rule is broken, under the circumstances in which that rule is needed. */
export const brokenKinds: readonly Kind[] = [
  mutant(
    'only the new version is replicated, on actors that do not change',
    { replicate: 'minted', epochs: 'single' },
    {}
  ),
  mutant('the incarnation survives a crash', { afterCrash: 'keep' }, { durability: 'os' }),
  mutant('a crash takes the counter back', { afterCrash: 'rewind' }, {}),
  mutant('an unseen sibling keeps its actor', { epochs: 'unseen' }, {}),
  mutant('a foreign row keeps the actor of old', { epochs: 'foreign' }, {}),
  mutant(
    'a row that turned old keeps its actor',
    { epochs: 'forgetful' },
    { faults: { turnOld: true } }
  ),
  mutant('an incarnation has one epoch', { epochs: 'single' }, {}),
  mutant('a writer is answered what the row knows', { answer: 'row' }, {}),
  mutant('contexts carry no time', { contextTime: 'dropped' }, { mode: 'lww' }),
  mutant('writes are confirmed before they are durable', { confirm: 'staged' }, {})
]

function mutant(name: string, rules: Partial<Rules>, options: LifeOptions): Kind {
  const faults = { crash: true, ...(rules.epochs === undefined ? {} : { forget: true }) }
  return { name, faults, ...options, rules: { ...soundRules, ...rules } }
}

export type Tally = { -readonly [What in keyof Outcome]: number }

/** Lives `count` lives, from `firstSeed` on; sums what they came to, and keeps the seeds of those that went wrong. */
export async function lives(
  kind: LifeOptions,
  firstSeed: number,
  count: number
): Promise<{ readonly tally: Tally; readonly badSeeds: readonly number[] }> {
  const tally: Tally = { ...noTrouble, writes: 0, acknowledged: 0 }
  const badSeeds: number[] = []
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const outcome = await life(seed, kind)
    for (const what of Object.keys(tally) as (keyof Tally)[]) tally[what] += outcome[what]
    if (isBad(outcome)) badSeeds.push(seed)
  }
  return { tally, badSeeds }
}

const noTrouble: Verdict = {
  lies: 0,
  revivals: 0,
  falseClaims: 0,
  repeatedDots: 0,
  lost: 0,
  diverged: 0
}

export function isBad(outcome: Verdict): boolean {
  return (Object.keys(noTrouble) as (keyof Verdict)[]).some((what) => outcome[what] > 0)
}

// As a script: `lives.ts [LIVES] [FIRST SEED]` lives that many lives of each kind; fails where the scheme was wrong.
if (process.argv[1] === import.meta.filename) {
  const count = Number(process.argv[2] ?? 1000)
  const firstSeed = Number(process.argv[3] ?? 1)
  for (const kind of [...soundKinds, ...brokenKinds]) {
    const mustHold = soundKinds.includes(kind)
    const { tally, badSeeds } = await lives(kind, firstSeed, count)
    const sums = Object.entries(tally).map(([what, sum]) => `${what} ${sum}`)
    const seeds = badSeeds.length === 0 ? '' : ` (seeds ${badSeeds.slice(0, 5).join(', ')})`
    console.log(
      `${kind.name}: ${badSeeds.length} of ${count} went wrong${seeds}; ${sums.join(', ')}`
    )
    if (mustHold && badSeeds.length > 0) process.exitCode = 1
  }
}
