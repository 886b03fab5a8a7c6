import { getHeapStatistics } from 'node:v8'
import { SeededRandom } from '../sim/seeded-random.ts'
import { BrokenRule, type FuzzTarget, type Verdict } from './fuzz-target.ts'

/** Which inputs of a target: the same seed and index give the same input on any machine, in any order. */
export interface FuzzRange {
  readonly seed: string
  readonly from: number
  readonly to: number
}

export interface Tally {
  readonly inputs: number
  readonly accepted: number
  readonly refused: number
  readonly durationMs: number
}

/** An input that broke a rule. */
export interface Finding {
  readonly target: string
  readonly seed: string
  readonly index: number
  readonly input: Buffer
  readonly rule: string
}

/** What a long run allows; far above what any input takes, since other programs want the cores too. */
export const timeMsMax = 200

export interface FuzzLimits {
  /** How long an input of no bytes may take; null where time is not judged. */
  readonly timeMsMax: number | null
}

const unspoilt = 1 / 32

export function inputAt(target: FuzzTarget, seed: string, index: number): Buffer {
  const random = new SeededRandom(`${seed}/${target.name}/${index}`)
  const original = random.pick(target.corpus)
  if (random.chance(unspoilt)) return original
  const donors = random.chance(0.7) ? target.corpus : target.donors
  return target.mutate(random, original, random.pick(donors))
}

/** Runs the inputs of a range, up to the first that breaks a rule. */
export function fuzz(
  target: FuzzTarget,
  { seed, from, to }: FuzzRange,
  limits: FuzzLimits
): { readonly tally: Tally; readonly finding: Finding | null } {
  const startedMs = performance.now()
  const counts = { accepted: 0, refused: 0 }
  let finding: Finding | null = null
  for (let index = from; index < to && finding === null; index++) {
    const input = inputAt(target, seed, index)
    const outcome = examine(target, input, limits)
    if (outcome === 'accepted' || outcome === 'refused') counts[outcome]++
    else finding = { target: target.name, seed, index, input, rule: outcome.rule }
  }
  const inputs = counts.accepted + counts.refused
  return { tally: { inputs, ...counts, durationMs: performance.now() - startedMs }, finding }
}

/** The verdict on one input, or the rule that was broken. */
export function examine(
  target: FuzzTarget,
  input: Buffer,
  limits: FuzzLimits
): Verdict | { readonly rule: string } {
  try {
    return runBounded(target, input, limits)
  } catch (thrown) {
    if (thrown instanceof BrokenRule) return { rule: thrown.message }
    const said = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    return { rule: `nothing but the documented errors is thrown, and this was: ${said}` }
  }
}

// What a rule itself allocates is in here too: encoding what was decoded, and comparing.
const allocatedBytesMax = 1024 * 1024
const allocatedBytesPerInputByte = 4096
const timeMsPerInputByte = 0.1
const confirmations = 4

function runBounded(target: FuzzTarget, input: Buffer, { timeMsMax }: FuzzLimits): Verdict {
  const bytesMax = allocatedBytesMax + allocatedBytesPerInputByte * input.length
  const msMax =
    timeMsMax === null ? Number.POSITIVE_INFINITY : timeMsMax + timeMsPerInputByte * input.length
  // Compiling and collecting garbage cost as well, now and then: what is too much is too much every time.
  for (let run = 1; ; run++) {
    const bytesBefore = allocatedBytes()
    const msBefore = performance.now()
    const verdict = target.run(Buffer.from(input))
    const ms = performance.now() - msBefore
    const bytes = allocatedBytes() - bytesBefore
    if (bytes <= bytesMax && ms <= msMax) return verdict
    if (run < confirmations) continue
    const cost = bytes > bytesMax ? `allocated ${bytes} bytes` : `took ${Math.round(ms)} ms`
    throw new BrokenRule(`an input of ${input.length} bytes ${cost}`)
  }
}

function allocatedBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}
