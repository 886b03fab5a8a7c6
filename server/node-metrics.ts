import { Counter, Gauge, Registry } from 'prom-client'
import { type ErrorCode, errorCodes } from '../core/errors.ts'
import type { LatencyHistogram } from '../core/latency-histogram.ts'
import { readRepairOutcomes } from '../repair/read-repair.ts'

/** The metrics of one node. Each node has a registry of its own, so that several can live in one process. */
export class NodeMetrics {
  readonly registry = new Registry()

  readonly batches = this.#counter(
    'anneal_storage_batches_total',
    'Batches written to the database'
  )
  readonly batchOperations = this.#counter(
    'anneal_storage_batch_operations_total',
    'Rows written, in all batches'
  )
  readonly batchBytes = this.#counter(
    'anneal_storage_batch_bytes_total',
    'Bytes of rows written, in all batches'
  )
  readonly unreadableSlices = this.#counter(
    'anneal_storage_unreadable_slices_total',
    'Places of the database in which rows could not be read at all'
  )
  readonly salvages = this.#counter(
    'anneal_storage_salvages_total',
    'The database was salvaged: files of it were damaged, and what could be read was copied into a new one'
  )
  readonly damagedRows = this.#counter(
    'anneal_storage_damaged_rows_total',
    'Rows that were read and were not what had been written'
  )
  readonly incarnations = this.#counter(
    'anneal_storage_incarnations_total',
    'New incarnations taken while running, each after something was found missing or damaged'
  )
  readonly readRepairs = this.#counter(
    'anneal_read_repairs_total',
    'Replicas given the merged object after a read found them stale, by outcome',
    ['outcome']
  )
  readonly staleReplicas = this.#counter(
    'anneal_read_stale_replicas_total',
    'Answers of replicas to reads that were not the newest'
  )
  readonly speculations = this.#counter(
    'anneal_read_speculations_total',
    'Reads that asked one more replica because another was slow'
  )
  readonly rejected = this.#counter(
    'anneal_http_overloaded_total',
    'HTTP requests answered 503 because too much was in progress'
  )
  readonly problems = this.#counter(
    'anneal_http_problems_total',
    'HTTP requests answered with an error, by its code',
    ['code']
  )
  readonly epochMismatches = this.#counter(
    'anneal_peer_epoch_mismatches_total',
    'Requests of peers refused because they went by another ring'
  )

  // Counted in a plain map, since this is done for every request, and handed over when somebody scrapes.
  readonly #responses = new Map<string, { operation: string; status: number; count: number }>()

  constructor() {
    // Whoever watches for an error sees that there was none, instead of nothing.
    for (const code of errorCodes) this.problems.inc({ code }, 0)
    for (const outcome of readRepairOutcomes) this.readRepairs.inc({ outcome }, 0)
    const responses = this.#responses
    new Counter({
      name: 'anneal_http_responses_total',
      help: 'HTTP requests answered, by operation and status',
      labelNames: ['operation', 'status'],
      registers: [this.registry],
      collect() {
        for (const entry of responses.values()) {
          this.inc({ operation: entry.operation, status: entry.status }, entry.count)
          entry.count = 0
        }
      }
    })
  }

  countProblem(code: ErrorCode): void {
    this.problems.inc({ code })
  }

  countResponse(operation: string, status: number): void {
    const key = operation + status
    const entry = this.#responses.get(key)
    if (entry !== undefined) entry.count++
    else this.#responses.set(key, { operation, status, count: 1 })
  }

  #counter<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[] = []
  ): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }

  /** A value that is read when somebody scrapes. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read())
      }
    })
  }

  /** As `gauge`, one value for each label. */
  labelledGauge(
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [string, number]>
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        this.reset()
        for (const [value, number] of read()) this.set({ [label]: value }, number)
      }
    })
  }

  /** A count that is kept elsewhere and never goes back while its label is there; one value for each label. */
  labelledCount<Label extends string>(
    name: string,
    help: string,
    labels: readonly Label[],
    read: () => Iterable<readonly [Readonly<Record<Label, string>>, number]>
  ): void {
    new Counter({
      name,
      help,
      labelNames: [...labels],
      registers: [this.registry],
      collect() {
        this.reset()
        for (const [values, count] of read()) this.inc(values, count)
      }
    })
  }

  /** As `labelledCount`, without a label. */
  count(name: string, help: string, read: () => number): void {
    this.labelledCount(name, help, [], () => [[{}, read()]])
  }

  /** Durations that are counted elsewhere, in buckets of fewer bounds than they are counted in. */
  durations(
    name: string,
    help: string,
    label: string,
    histograms: ReadonlyMap<string, LatencyHistogram>
  ): void {
    const metric = {
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      get: async () => ({
        name,
        help,
        type: 'histogram',
        aggregator: 'sum',
        values: [...histograms].flatMap(([value, histogram]) =>
          samplesOf(name, { [label]: value }, histogram)
        )
      }),
      reset: () => {}
    }
    this.registry.registerMetric(metric as unknown as Gauge)
  }
}

const secondMs = 1000
const boundsShownMs = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

function samplesOf(name: string, labels: Record<string, string>, histogram: LatencyHistogram) {
  const { boundsMs, counts, sumMs, count } = histogram
  const samples = []
  let bucket = 0
  let seen = 0
  for (const shownMs of boundsShownMs) {
    while (bucket < boundsMs.length && (boundsMs[bucket] ?? 0) <= shownMs)
      seen += counts[bucket++] ?? 0
    samples.push({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: String(shownMs / secondMs) },
      value: seen
    })
  }
  samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count })
  samples.push({ metricName: `${name}_sum`, labels, value: sumMs / secondMs })
  samples.push({ metricName: `${name}_count`, labels, value: count })
  return samples
}
