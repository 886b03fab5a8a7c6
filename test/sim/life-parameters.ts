import { SeededRandom } from './seeded-random.ts'

/** What one node, the victim, may suffer beyond what the others do: it forgets what it had promised to keep. */
export const lossyFaults = [
  'none',
  'forget',
  'flip',
  'rot',
  'oldDisk',
  'lostDisk',
  'salvage'
] as const
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

/** How replicas come together again in this life. Short intervals and little room: whatever can happen then does. */
export interface HealingParameters {
  readonly intervalMs: number
  readonly concurrency: number
  readonly bytesPerSecondMax: number
  readonly latencyTargetMs: number
  readonly scrubRowsPerSecond: number
  readonly hints: boolean
  readonly hintBytesMax: number
  readonly hintAgeMs: number
  /** How many requests accept replicas alone. */
  readonly strictProbability: number
  readonly graceMs: number
  readonly readRepair: 'off' | 'async' | 'sync'
}

/** Everything that makes a life what it is. All of it is drawn from the seed, unless a caller says otherwise. */
export interface LifeParameters {
  readonly seed: number
  readonly nodes: number
  /** The fewer, the more keys share one, and the less a life costs. */
  readonly partitions: number
  /** Until when faults happen and clients are at work. */
  readonly durationMs: number
  /** At least as long as that is looked on; later by as much as healing takes. */
  readonly lifeMs: number
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
  /** By how much less often than `heartbeatMs` and `healing.intervalMs` say nodes do what they do by themselves. */
  readonly calm: number
  readonly latencyMaxMs: number
  readonly diskMaxMs: number
  /** Small enough for rows to be pushed out; without any what happens to a disk is met sooner. */
  readonly rowCacheBytes: number
  readonly clockOffsetMaxMs: number
  readonly driftPpmMax: number
  readonly loseProbability: number
  readonly repeatProbability: number
  /** How often the process of a node is stopped for a while, in a virtual minute, on average. */
  readonly pausesPerMinute: number
  /** How often a node that has just come back is asked alone, before it has heard what it missed. */
  readonly returnReads: number
  readonly lossyFault: LossyFault
  readonly faults: FaultRates
  readonly healing: HealingParameters
}

export function drawParameters(seed: number): LifeParameters {
  const random = new SeededRandom(seed).fork('parameters')
  const sometimes = (probability: number, rate: number) =>
    random.chance(probability) ? random.between(rate / 4, rate) : 0
  const lossyFault = random.chance(0.5) ? 'none' : random.pick(lossyFaults)
  const nodesAtMost = random.pick([3, 3, 3, 4, 4, 5, 5, 6, 7])
  return {
    seed,
    nodes: drawNodes(new SeededRandom(seed).fork('nodes'), nodesAtMost),
    partitions: new SeededRandom(seed).fork('partitions').pick([8, 8, 8, 8, 8, 16]),
    durationMs: drawDuration(new SeededRandom(seed).fork('duration')),
    lifeMs: 300_000,
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
    calm: new SeededRandom(seed).fork('calm').pick([1, 2, 4, 4]),
    latencyMaxMs: random.pick([2, 10, 50, 200]),
    diskMaxMs: random.pick([0.5, 5, 50]),
    rowCacheBytes: new SeededRandom(seed).fork('row cache').pick([0, 2048, 16_384]),
    clockOffsetMaxMs: random.pick([0, 100, 60_000]),
    driftPpmMax: random.pick([0, 200]),
    loseProbability: sometimes(0.3, 0.02),
    repeatProbability: sometimes(0.4, 0.1),
    pausesPerMinute: drawPauses(new SeededRandom(seed).fork('pauses')),
    returnReads: new SeededRandom(seed).fork('returns').pick([0, 2, 6]),
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
    },
    healing: drawHealing(new SeededRandom(seed).fork('healing'), nodesAtMost)
  }
}

/** Most of what can go wrong among many goes wrong among three or four, at half the cost. */
function drawNodes(random: SeededRandom, atMost: number): number {
  return atMost > 4 && random.chance(0.5) ? Math.ceil(atMost / 2) : atMost
}

/** Faults that meet each other do so within a minute or two: many lives see more than long ones. */
function drawDuration(random: SeededRandom): number {
  return random.pick([30_000, 30_000, 60_000, 60_000, 60_000, 120_000])
}

function drawPauses(random: SeededRandom): number {
  return random.chance(0.4) ? random.between(0.5, 3) : 0
}

/** In a large cluster there are more pairs, and what a life costs is how often they compare themselves. */
function drawHealing(random: SeededRandom, nodes: number): HealingParameters {
  return {
    intervalMs: Math.round(random.between(2000, 20_000) * (nodes - 2)),
    concurrency: random.pick([1, 2, 4]),
    bytesPerSecondMax: random.pick([4096, 65_536, 16_777_216, 16_777_216]),
    latencyTargetMs: random.pick([50, 1000, 60_000]),
    scrubRowsPerSecond: random.pick([2, 20, 1000]),
    hints: random.chance(0.85),
    hintBytesMax: random.pick([2048, 16_384, 1_048_576]),
    hintAgeMs: random.pick([10_000, 60_000, 600_000]),
    strictProbability: random.pick([0, 0.2, 0.2, 1]),
    graceMs: random.pick([0, 1000, 10_000, 60_000]),
    readRepair: random.pick<HealingParameters['readRepair']>(['off', 'async', 'async', 'sync'])
  }
}

const calmHeartbeatMsMax = 10_000
const calmIntervalMsMax = 60_000

/** The parameters with what `calm` makes of them, so that it is 1. */
export function withCalm(parameters: LifeParameters): LifeParameters {
  const { heartbeatMs, healing, calm } = parameters
  const slower = (ms: number, msMax: number) => Math.max(ms, Math.min(ms * calm, msMax))
  return {
    ...parameters,
    calm: 1,
    heartbeatMs: slower(heartbeatMs, calmHeartbeatMsMax),
    healing: { ...healing, intervalMs: slower(healing.intervalMs, calmIntervalMsMax) }
  }
}

/** As `--set` takes them. */
export function settingsOf(parameters: LifeParameters): string[] {
  const { healing, heartbeatMs, durability, rowCacheBytes } = parameters
  return [
    `cluster.heartbeatMs=${heartbeatMs}`,
    `durability=${durability}`,
    `storage.rowCacheBytes=${rowCacheBytes}`,
    `repair.intervalMs=${healing.intervalMs}`,
    `repair.concurrency=${healing.concurrency}`,
    `repair.maxBytesPerSecond=${healing.bytesPerSecondMax}`,
    `repair.latencyTargetMs=${healing.latencyTargetMs}`,
    `repair.scrubRowsPerSecond=${healing.scrubRowsPerSecond}`,
    `hints.enabled=${healing.hints}`,
    `hints.maxBytesPerTarget=${healing.hintBytesMax}`,
    `hints.maxAgeMs=${healing.hintAgeMs}`,
    `tombstones.graceMs=${healing.graceMs}`,
    `readRepair.mode=${healing.readRepair}`
  ]
}

/** One line that says how this life differs from others. */
export function describeParameters(parameters: LifeParameters): string {
  const { faults, healing, ...rest } = parameters
  const round = (value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(3)) : value
  const list = (fields: object) =>
    Object.entries(fields)
      .filter(([, value]) => value !== 0)
      .map(([name, value]) => `${name}=${round(value)}`)
      .join(' ')
  return `${list(rest)}; healing: ${list(healing)}; faults a minute: ${list(faults) || 'none'}`
}
