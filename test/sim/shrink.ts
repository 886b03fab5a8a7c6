import type { LifeReport } from './life.ts'
import {
  drawParameters,
  type FaultRates,
  type HealingParameters,
  type LifeParameters,
  lossyFaults
} from './life-parameters.ts'
import type { LifeTask } from './runner-messages.ts'

/** The simplest life found that violates the same invariant. */
export interface Shrunk {
  readonly task: LifeTask
  readonly report: LifeReport
  /** Lives that it took to find it. */
  readonly lives: number
}

export interface ShrinkOptions {
  readonly live: (task: LifeTask) => Promise<LifeReport>
  readonly livesMax: number
}

type Change = Partial<LifeParameters>

const marginMs = 1000
const durationMsMin = 5000
/** A change moves every later choice of a life, so it is also tried on lives that choose otherwise. */
const otherSeeds = [1, 2, 3].map((i) => i * 1_000_003)

/**
 * Makes a life that violates an invariant simpler, one change at a time, and keeps each change with which the same
 * invariant is still violated: shorter, without this fault or that, with fewer keys, clients and nodes, on a quiet
 * network (as "delta debugging" does; Zeller and Hildebrandt, 2002).
 */
export async function shrink(
  { seed, override }: LifeTask,
  report: LifeReport,
  { live, livesMax }: ShrinkOptions
): Promise<Shrunk> {
  const invariant = report.violations[0]?.invariant
  let best: Shrunk = { task: { seed, override }, report, lives: 0 }
  let lives = 0

  const firstThatFails = async (change: Change): Promise<Shrunk | null> => {
    const kept = { ...best.task.override, ...change }
    const runSeed = kept.seed ?? seed
    const tasks: LifeTask[] = [
      { seed, override: kept },
      ...otherSeeds.map((other) => ({ seed, override: { ...kept, seed: runSeed + other } }))
    ]
    lives += tasks.length
    const reports = await Promise.all(tasks.map(live))
    const index = reports.findIndex(({ violations }) => violations[0]?.invariant === invariant)
    const task = tasks[index]
    const found = reports[index]
    return task === undefined || found === undefined ? null : { task, report: found, lives }
  }

  for (let isSimpler = true; isSimpler && lives < livesMax; ) {
    isSimpler = false
    for (const propose of proposals) {
      if (lives >= livesMax) break
      const now = { ...drawParameters(seed), ...best.task.override }
      const change = propose(now, best.report)
      if (change === null) continue
      const simpler = await firstThatFails(change)
      if (simpler === null) continue
      best = simpler
      isSimpler = true
    }
  }
  return { ...best, lives }
}

type Propose = (now: LifeParameters, report: LifeReport) => Change | null

const faultKinds: readonly (keyof FaultRates)[] = [
  'crash',
  'restart',
  'cut',
  'split',
  'clog',
  'clockJump',
  'diskError',
  'diskFull'
]

/** Each setting of the healing, and what it is where it plays no part. */
const quietHealing: readonly (readonly [keyof HealingParameters, number | string | boolean])[] = [
  ['hints', false],
  ['readRepair', 'off'],
  ['strictProbability', 1],
  ['concurrency', 1],
  ['bytesPerSecondMax', 16_777_216],
  ['latencyTargetMs', 60_000],
  ['hintBytesMax', 1_048_576],
  ['hintAgeMs', 600_000],
  ['scrubRowsPerSecond', 1000],
  ['graceMs', 0],
  ['intervalMs', 20_000]
]

/** Those that make most lives cheapest come first. */
const proposals: readonly Propose[] = [
  ({ durationMs }, { violations }) => {
    const neededMs = Math.ceil((violations[0]?.atMs ?? durationMs) + marginMs)
    return neededMs < durationMs && neededMs > marginMs ? { durationMs: neededMs } : null
  },
  ({ durationMs }) =>
    durationMs > durationMsMin ? { durationMs: Math.ceil(durationMs / 2) } : null,
  ({ lossyFault, faults }) =>
    lossyFault === lossyFaults[0]
      ? null
      : { lossyFault: lossyFaults[0], faults: { ...faults, lossy: 0 } },
  ...faultKinds.map(
    (kind): Propose =>
      ({ faults }) =>
        faults[kind] === 0 ? null : { faults: { ...faults, [kind]: 0 } }
  ),
  to('loseProbability', 0),
  to('repeatProbability', 0),
  to('pausesPerMinute', 0),
  to('returnReads', 0),
  to('burstProbability', 0),
  to('clockOffsetMaxMs', 0),
  to('driftPpmMax', 0),
  to('deletes', false),
  to('largeValues', false),
  to('mode', 'siblings'),
  to('durability', 'fsync'),
  to('coldKeys', 0),
  ({ coldKeys }) => (coldKeys > 1 ? { coldKeys: coldKeys >> 1 } : null),
  to('hotKeys', 1),
  to('nodes', 3),
  ({ nodes }) => (nodes > 3 ? { nodes: nodes - 1 } : null),
  to('clients', 1),
  ({ clients }) => (clients > 2 ? { clients: clients - 1 } : null),
  ...quietHealing.map(
    ([name, value]): Propose =>
      ({ healing }) =>
        healing[name] === value ? null : { healing: { ...healing, [name]: value } }
  ),
  to('latencyMaxMs', 2),
  to('diskMaxMs', 0.5),
  ({ pauseMs }) => (pauseMs < 10_000 ? { pauseMs: Math.round(pauseMs * 2) } : null)
]

function to<Name extends keyof LifeParameters>(name: Name, value: LifeParameters[Name]): Propose {
  return (now) => (now[name] === value ? null : { [name]: value })
}
