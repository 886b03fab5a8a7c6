import { type Cluster, type Durability, startCluster } from './cluster.ts'
import { GeneratorPool } from './generator.ts'
import type { Watcher } from './load.ts'

export interface OwnClusterOptions {
  readonly durability: Durability
  /** Load generator processes. */
  readonly threads: number
  /** A directory on the disk that is to be measured. */
  readonly directory: string
  /** The file that is run as `node PROGRAM start …`. */
  readonly program: string
  /** Settings that the benchmark depends on. */
  readonly environment?: Readonly<Record<string, string>>
}

const nodes = 3

/**
 * Runs a benchmark on three nodes of its own, with load generators, and ends all of them with it. Errors: rejects when a
 * node does not start, with what the benchmark fails with, and with the signal's reason once that is aborted.
 */
export async function onOwnCluster<T>(
  { threads, ...options }: OwnClusterOptions,
  { progress, signal }: Watcher,
  run: (cluster: Cluster, generator: GeneratorPool) => Promise<T>
): Promise<T> {
  const generator = new GeneratorPool(threads)
  try {
    progress(`starting ${nodes} nodes with durability ${options.durability}`)
    const cluster = await startCluster({ ...options, nodes, signal })
    try {
      return await run(cluster, generator)
    } finally {
      await cluster.stop()
    }
  } finally {
    await generator.stop()
  }
}
