import type { LifeParameters } from './life-parameters.ts'

/** Makes of a life as it is drawn one that comes to something rare more often. */
export type Situation = (drawn: LifeParameters) => Partial<LifeParameters>

const mebi = 1_048_576

/** What is rare needs time, and nodes that do much. */
const longAndBusy = { durationMs: 240_000, calm: 1, heartbeatMs: 1000 }

/** Nodes come and go, so that much is kept as hints for long, and there are no other faults. */
export const manyHints: Situation = ({ faults, healing }) => ({
  ...longAndBusy,
  nodes: 5,
  pauseMs: 1000,
  lossyFault: 'none',
  faults: { ...faults, crash: 6, restart: 2, diskError: 0, diskFull: 0, lossy: 0 },
  healing: {
    ...healing,
    intervalMs: 5000,
    hints: true,
    hintBytesMax: mebi,
    hintAgeMs: 600_000,
    strictProbability: 0
  }
})

/** As `manyHints`, on few keys and a slow network: a hint is still on its way when it is changed. */
export const hintsThatChange: Situation = (drawn) => {
  const life = { ...drawn, ...manyHints(drawn) }
  return {
    ...life,
    hotKeys: 1,
    coldKeys: 0,
    clients: 5,
    pauseMs: 300,
    latencyMaxMs: 200,
    faults: { ...life.faults, cut: 4, clog: 4 },
    healing: { ...life.healing, intervalMs: 60_000, readRepair: 'off' }
  }
}

/** Hints expire before their targets are back. */
export const hintsThatExpire: Situation = (drawn) => {
  const life = { ...drawn, ...manyHints(drawn) }
  return { ...life, healing: { ...life.healing, intervalMs: 60_000, hintAgeMs: 10_000 } }
}

/** Now and then a node loses its disk, while others keep hints of what it had written. */
export const hintsAndLostDisks: Situation = (drawn) => {
  const life = { ...drawn, ...manyHints(drawn) }
  return { ...life, lossyFault: 'lostDisk', faults: { ...life.faults, lossy: 3 } }
}

/**
 * Now and then the cluster falls apart, and afterwards what was kept as hints meanwhile takes long to be handed over: large
 * values at a low rate, while replicas go on comparing what they have.
 */
export const slowHints: Situation = (drawn) => {
  const life = { ...drawn, ...manyHints(drawn) }
  return {
    ...life,
    nodes: 4,
    durationMs: 120_000,
    hotKeys: 2,
    coldKeys: 4,
    mode: 'siblings',
    largeValues: true,
    latencyMaxMs: Math.min(life.latencyMaxMs, 10),
    diskMaxMs: Math.min(life.diskMaxMs, 5),
    heartbeatMs: 1000,
    pausesPerMinute: 0,
    faults: { ...life.faults, crash: 0, restart: 0, cut: 0, clog: 0, split: 5 },
    healing: { ...life.healing, intervalMs: 3000, bytesPerSecondMax: 3000, readRepair: 'off' }
  }
}

/**
 * As `slowHints`, and now and then a node loses its disk, and does not reach all others when it is back: what one of them
 * keeps as a hint is all that is left of a write.
 */
export const slowHintsAndLostDisks: Situation = (drawn) => {
  const life = { ...drawn, ...slowHints(drawn) }
  return {
    ...life,
    clients: 5,
    pauseMs: 500,
    lossyFault: 'lostDisk',
    faults: { ...life.faults, cut: 12, lossy: 8 }
  }
}

/** As `slowHints`, and what is still to be handed over is deleted meanwhile, and the tombstones go as soon as they may. */
export const slowHintsOfDeleted: Situation = (drawn) => {
  const life = { ...drawn, ...slowHints(drawn) }
  return { ...life, deletes: true, healing: { ...life.healing, graceMs: 0 } }
}

/** Nodes come back with old disks after what is on them was deleted and collected, and are asked at once. */
export const oldDisks: Situation = ({ faults, healing }) => ({
  ...longAndBusy,
  nodes: 3,
  deletes: true,
  hotKeys: 3,
  coldKeys: 3,
  pauseMs: 1000,
  returnReads: 6,
  lossyFault: 'oldDisk',
  faults: { ...faults, lossy: 4, split: 0, diskFull: 0 },
  healing: { ...healing, intervalMs: 2000, graceMs: 0, bytesPerSecondMax: 16 * mebi }
})

/** As `oldDisks`, of disks whose databases were damaged and salvaged. */
export const salvagedDisks: Situation = (drawn) => ({ ...oldDisks(drawn), lossyFault: 'salvage' })

/** A node loses rows of keys that are written all the time, and nothing brings them back for long. */
export const forgottenRows: Situation = ({ faults, healing }) => ({
  ...longAndBusy,
  durationMs: 120_000,
  nodes: 3,
  hotKeys: 2,
  coldKeys: 0,
  clients: 5,
  pauseMs: 500,
  mode: 'siblings',
  rowCacheBytes: 0,
  lossyFault: 'forget',
  faults: { ...faults, lossy: 12, split: 0, diskFull: 0, diskError: 0 },
  healing: { ...healing, intervalMs: 60_000, scrubRowsPerSecond: 2, readRepair: 'off' }
})

/** As `forgottenRows`, but of what was forgotten all had been proven to have it, and it meets new writes as it comes back. */
export const forgottenProofs: Situation = (drawn) => {
  const life = { ...drawn, ...forgottenRows(drawn) }
  return {
    ...life,
    hotKeys: 1,
    coldKeys: 20,
    pauseMs: 1500,
    healing: { ...life.healing, intervalMs: 3000, bytesPerSecondMax: 16 * mebi }
  }
}

/** As `forgottenRows`, but what a row loses is what it became last, in a cluster that does not stop. */
export const oldRows: Situation = (drawn) => {
  const life = { ...drawn, ...forgottenRows(drawn) }
  return {
    ...life,
    lossyFault: 'rot',
    hotKeys: 1,
    coldKeys: 6,
    pauseMs: 1500,
    faults: { ...life.faults, crash: 0, restart: 0, lossy: 12 }
  }
}

/** Many writes that only some replicas get, and comparisons all the time. */
export const busyComparisons: Situation = ({ faults, healing }) => ({
  ...longAndBusy,
  nodes: 3,
  hotKeys: 2,
  coldKeys: 6,
  clients: 5,
  pauseMs: 300,
  loseProbability: 0.05,
  lossyFault: 'none',
  faults: { ...faults, lossy: 0 },
  healing: { ...healing, intervalMs: 2000, hints: false, readRepair: 'off', concurrency: 4 }
})

/** By the name that the runner knows them by. */
export const situations: Readonly<Record<string, Situation>> = {
  manyHints,
  hintsThatChange,
  hintsThatExpire,
  hintsAndLostDisks,
  slowHints,
  slowHintsAndLostDisks,
  slowHintsOfDeleted,
  forgottenRows,
  forgottenProofs,
  oldRows,
  oldDisks,
  salvagedDisks,
  busyComparisons
}
