import {
  type ProvingFaults,
  type ProvingOptions,
  type ProvingOutcome,
  provingLife
} from './proving-life.ts'
import { type ProvingRules, soundProving } from './proving-node.ts'

export interface ProvingKind extends ProvingOptions {
  readonly name: string
}

/** The circumstances under which nothing may go wrong. */
export const soundProvingKinds: readonly ProvingKind[] = (['siblings', 'lww'] as const).flatMap(
  (mode) => [
    { name: `${mode}: lost and late messages, pauses, fallbacks`, mode },
    { name: `${mode}: old disks come back`, mode, faults: { oldDisk: true } },
    { name: `${mode}: a replica forgets its row`, mode, faults: { forget: true } },
    {
      name: `${mode}: crashes, fsync`,
      mode,
      faults: { crash: true },
      durability: 'fsync' as const
    },
    { name: `${mode}: crashes, old disks, os`, mode, faults: { crash: true, oldDisk: true } }
  ]
)

interface Need {
  readonly faults: ProvingFaults
  /** The seed of a life that goes wrong without the rule; null: rarer than one in thousands, since others make up for it. */
  readonly noticedBy: number | null
}

const needs: Readonly<Record<keyof ProvingRules, Need>> = {
  checkWatermarkOnArrival: { faults: { oldDisk: true }, noticedBy: 232 },
  consultBeforeQuarantine: { faults: { forget: true }, noticedBy: 8 },
  rowsWholeOrNotAtAll: { faults: { forget: true, oldDisk: true }, noticedBy: 12 },
  reportBelowOwnHints: { faults: {}, noticedBy: 70 },
  watermarkNeedsEqualPairs: { faults: {}, noticedBy: 2 },
  watermarkNeedsSyncedRows: { faults: { crash: true, oldDisk: true }, noticedBy: null },
  collectOnlyBelowWatermark: { faults: { oldDisk: true }, noticedBy: 153 }
}

export interface BrokenKind extends ProvingKind {
  readonly noticedBy: number | null
}

/** One rule dropped, under the circumstances in which it is needed. */
export const brokenProvingKinds: readonly BrokenKind[] = (
  Object.keys(soundProving) as (keyof ProvingRules)[]
).map((rule) => ({
  name: `without ${rule}`,
  rules: { ...soundProving, [rule]: false },
  ...needs[rule]
}))

export function wentWrong(outcome: ProvingOutcome): boolean {
  const { lies, buried, resurrected, lost, diverged, tombstonesLeft } = outcome
  return lies > 0 || buried > 0 || resurrected > 0 || lost > 0 || diverged > 0 || tombstonesLeft > 0
}

// As a script: `proving-lives.ts [LIVES] [FIRST SEED]`; fails where the scheme was wrong.
if (process.argv[1] === import.meta.filename) {
  const count = Number(process.argv[2] ?? 1000)
  const first = Number(process.argv[3] ?? 1)
  for (const kind of [...soundProvingKinds, ...brokenProvingKinds]) {
    const sums = new Map<string, number>()
    const bad: number[] = []
    for (let seed = first; seed < first + count; seed++) {
      const outcome = await provingLife(seed, kind)
      for (const [what, n] of Object.entries(outcome)) sums.set(what, (sums.get(what) ?? 0) + n)
      if (wentWrong(outcome)) bad.push(seed)
    }
    const told = [...sums].map(([what, sum]) => `${what} ${sum}`).join(', ')
    console.log(`${kind.name}: ${bad.length} of ${count} went wrong (${bad.slice(0, 5)}); ${told}`)
    if (soundProvingKinds.includes(kind) && bad.length > 0) process.exitCode = 1
  }
}
