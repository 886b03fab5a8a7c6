import { type Conflict, prepareBucket } from './bucket.ts'
import { type Cluster, type Durability, startCluster } from './cluster.ts'
import { type GeneratorPlan, GeneratorPool, type GeneratorResult } from './generator.ts'
import type { LoadTarget } from './http-load.ts'
import type { OperationKind } from './operation.ts'
import { readCpuMicros } from './process-cpu.ts'
import type { KeySelection } from './random-keys.ts'
import {
  describeErrors,
  type RunReport,
  summarizeRun,
  summarizeWorkload,
  type WorkloadReport
} from './report.ts'

export type Workload = 'put' | 'get' | 'update'

/** What is loaded: a cluster that is running somewhere, or one of our own, for each durability anew. */
export type LoadSubject =
  | { readonly kind: 'running'; readonly urls: readonly string[] }
  | {
      readonly kind: 'own'
      readonly durabilities: readonly Durability[]
      /** A directory on the disk that is to be measured. */
      readonly directory: string
      /** The file that is run as `node PROGRAM start …`. */
      readonly program: string
    }

export interface LoadOptions {
  readonly subject: LoadSubject
  readonly workloads: readonly Workload[]
  readonly runs: number
  readonly seconds: number
  readonly warmupSeconds: number
  readonly connections: number
  readonly keys: number
  readonly valueBytes: number
  /** Load generator processes. */
  readonly threads: number
  readonly seed: number
}

export interface Watcher {
  /** Called with a sentence at the start of each step. */
  readonly progress: (step: string) => void
  readonly signal: AbortSignal
}

const ownNodes = 3
const operationTimeoutMs = 10_000

interface BenchmarkBucket {
  readonly name: string
  readonly conflict: Conflict
  /** How every key is written once. */
  readonly fill: OperationKind
}

/** Blind writes to one key are siblings of each other, so they need a bucket that keeps the last. */
const writeBucket: BenchmarkBucket = { name: 'bench-put', conflict: 'lww', fill: 'put' }
const updateBucket: BenchmarkBucket = {
  name: 'bench-update',
  conflict: 'siblings',
  fill: 'create'
}

/**
 * Runs the benchmark from the beginning to the end and answers with one report for each workload and durability.
 * Errors: rejects when a cluster cannot be started or filled, and with the signal's reason once that is aborted. Errors of
 * measured operations are in the reports.
 */
export async function runLoadBenchmark(
  options: LoadOptions,
  watcher: Watcher
): Promise<WorkloadReport[]> {
  const { subject } = options
  const generator = new GeneratorPool(options.threads)
  try {
    if (subject.kind === 'running') {
      return await measure({ options, watcher, generator, urls: subject.urls, cluster: null })
    }
    const reports: WorkloadReport[] = []
    for (const [index, durability] of subject.durabilities.entries()) {
      // How writes are made durable makes no difference to reads, which are measured once.
      const workloads = options.workloads.filter((workload) => index === 0 || workload !== 'get')
      if (workloads.length === 0) continue
      watcher.progress(`starting ${ownNodes} nodes with durability ${durability}`)
      const { program, directory } = subject
      const { signal } = watcher
      const cluster = await startCluster({
        program,
        nodes: ownNodes,
        durability,
        directory,
        signal
      })
      try {
        if (durability === 'fsync' && cluster.inMemory) watcher.progress(memoryWarning(directory))
        const measured = { options: { ...options, workloads }, watcher, generator, cluster }
        const ofCluster = await measure({ ...measured, urls: cluster.urls })
        reports.push(...ofCluster.map((report) => ({ ...report, durability })))
      } finally {
        await cluster.stop()
      }
    }
    return reports
  } finally {
    await generator.stop()
  }
}

function memoryWarning(directory: string): string {
  return `warning: ${directory} is in memory, where fsync costs nothing; name a disk with --data`
}

interface Measurement {
  readonly options: LoadOptions
  readonly watcher: Watcher
  readonly generator: GeneratorPool
  readonly urls: readonly string[]
  /** Null when somebody else runs the nodes: their CPU time is then unknown. */
  readonly cluster: Cluster | null
}

async function measure(measurement: Measurement): Promise<WorkloadReport[]> {
  const { options } = measurement
  const used = new Set(options.workloads.map(bucketOf))
  for (const bucket of used) await fill(measurement, bucket)
  const reports: WorkloadReport[] = []
  for (const workload of options.workloads) {
    if (options.warmupSeconds > 0) {
      measurement.watcher.progress(`${workload}: warming up`)
      await load(measurement, planOf(measurement, workload, 0, options.warmupSeconds))
    }
    const runs: RunReport[] = []
    for (let run = 1; run <= options.runs; run++) {
      measurement.watcher.progress(`${workload}: run ${run} of ${options.runs}`)
      runs.push(await measureRun(measurement, workload, run))
    }
    reports.push(summarizeWorkload(workload, runs))
  }
  return reports
}

/** Writes every key once: reads must find something, and writes must not get slower while the database grows. */
async function fill(measurement: Measurement, bucket: BenchmarkBucket): Promise<void> {
  const { options, watcher, urls } = measurement
  watcher.progress(`writing ${options.keys} keys to bucket ${bucket.name}`)
  await prepareBucket(urls, bucket.name, bucket.conflict, watcher.signal)
  const keys: KeySelection = { kind: 'each', from: 0, to: options.keys }
  const result = await load(measurement, {
    ...commonPlan(measurement, bucket.fill, bucket.name),
    keys,
    durationMs: null
  })
  if (result.errors.size > 0) {
    throw new Error(
      `the keys could not be written to bucket ${bucket.name}: ${describeErrors(result.errors)}`
    )
  }
}

async function measureRun(
  measurement: Measurement,
  workload: Workload,
  run: number
): Promise<RunReport> {
  const pids = measurement.cluster?.pids ?? []
  const plan = planOf(measurement, workload, run, measurement.options.seconds)
  const before = await readCpuMicros(pids)
  const result = await load(measurement, plan)
  const after = await readCpuMicros(pids)
  const serverCpuMicros = before === null || after === null ? null : after - before
  return summarizeRun(result, serverCpuMicros)
}

async function load(measurement: Measurement, plan: GeneratorPlan): Promise<GeneratorResult> {
  const result = await measurement.generator.run(plan, measurement.watcher.signal)
  measurement.cluster?.assertRunning()
  return result
}

function planOf(
  measurement: Measurement,
  workload: Workload,
  run: number,
  seconds: number
): GeneratorPlan {
  const { keys, seed } = measurement.options
  return {
    ...commonPlan(measurement, workload, bucketOf(workload).name),
    // Another run, other keys: the same ones in the same order would find them in every cache.
    keys: { kind: 'random', count: keys, seed: seed + run },
    durationMs: seconds * 1000
  }
}

function commonPlan(
  measurement: Measurement,
  operation: OperationKind,
  bucket: string
): Omit<GeneratorPlan, 'keys' | 'durationMs'> {
  const { connections, valueBytes } = measurement.options
  const targets = measurement.urls.map(targetOf)
  return { targets, operation, bucket, valueBytes, connections, timeoutMs: operationTimeoutMs }
}

function bucketOf(workload: Workload): BenchmarkBucket {
  return workload === 'update' ? updateBucket : writeBucket
}

export function targetOf(url: string): LoadTarget {
  const { hostname, port } = new URL(url)
  // The brackets around an IPv6 address belong to the URL, not to the address.
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) }
}
