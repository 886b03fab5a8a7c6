import { SeededRandom } from './seeded-random.ts'

/** What one node, the victim, may suffer beyond what the others do: it forgets what it had promised to keep. */
export const lossyFaults = ['none', 'forget', 'flip', 'oldDisk', 'lostDisk'] as const
export type LossyFault = (typeof lossyFaults)[number]

/** Faults per virtual minute, on average. Zero: none of that kind in this life. */
export interface FaultRates {
  readonly crash: number
  readonly restart: number
  readonly cut: number
  readonly split: number
  readonly clog: number
  readonly clockJump: number
  readonly diskError: number
  readonly diskFull: number
  readonly lossy: number
}

/** Everything that makes a life what it is. All of it is drawn from the seed, unless a caller says otherwise. */
export interface LifeParameters {
  readonly seed: number
  readonly nodes: number
  readonly durationMs: number
  readonly hotKeys: number
  readonly coldKeys: number
  readonly clients: number
  /** Between two operations of one client, on average. */
  readonly pauseMs: number
  readonly mode: 'siblings' | 'lww'
  readonly durability: 'fsync' | 'os'
  /** Whether keys may be deleted; those of the others are judged more strictly. */
  readonly deletes: boolean
  readonly largeValues: boolean
  /** How often a client has company: several writes of one key at once, through different nodes. */
  readonly burstProbability: number
  readonly heartbeatMs: number
  readonly latencyMaxMs: number
  readonly diskMaxMs: number
  readonly clockOffsetMaxMs: number
  readonly driftPpmMax: number
  readonly loseProbability: number
  readonly repeatProbability: number
  readonly lossyFault: LossyFault
  readonly faults: FaultRates
}

export function drawParameters(seed: number): LifeParameters {
  const random = new SeededRandom(seed).fork('parameters')
  const sometimes = (probability: number, rate: number) =>
    random.chance(probability) ? random.between(rate / 4, rate) : 0
  const lossyFault = random.chance(0.5) ? 'none' : random.pick(lossyFaults)
  return {
    seed,
    nodes: 3 + random.int(5),
    durationMs: 300_000,
    hotKeys: 1 + random.int(4),
    coldKeys: random.int(40),
    clients: 2 + random.int(4),
    pauseMs: random.between(1000, 5000),
    mode: random.chance(0.2) ? 'lww' : 'siblings',
    durability: random.chance(0.1) ? 'os' : 'fsync',
    deletes: random.chance(0.5),
    largeValues: random.chance(0.2),
    burstProbability: random.pick([0, 0.05, 0.2]),
    heartbeatMs: random.pick([1000, 2000, 5000]),
    latencyMaxMs: random.pick([2, 10, 50, 200]),
    diskMaxMs: random.pick([0.5, 5, 50]),
    clockOffsetMaxMs: random.pick([0, 100, 60_000]),
    driftPpmMax: random.pick([0, 200]),
    loseProbability: sometimes(0.3, 0.02),
    repeatProbability: sometimes(0.4, 0.1),
    lossyFault,
    faults: {
      crash: sometimes(0.7, 4),
      restart: sometimes(0.4, 2),
      cut: sometimes(0.5, 3),
      split: sometimes(0.3, 1),
      clog: sometimes(0.3, 2),
      clockJump: sometimes(0.3, 1),
      diskError: sometimes(0.2, 1),
      diskFull: sometimes(0.2, 1),
      lossy: lossyFault === 'none' ? 0 : random.between(0.5, 4)
    }
  }
}

/** One line that says how this life differs from others. */
export function describeParameters(parameters: LifeParameters): string {
  const { faults, ...rest } = parameters
  const round = (value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(3)) : value
  const list = (fields: object) =>
    Object.entries(fields)
      .filter(([, value]) => value !== 0)
      .map(([name, value]) => `${name}=${round(value)}`)
      .join(' ')
  return `${list(rest)}; faults a minute: ${list(faults) || 'none'}`
}
