import { AnnealClient } from '../../client/client.ts'
import { differingPartitions, readTrees, type Tree } from '../cli/read-trees.ts'

/** What was compared to say that all replicas hold the same. */
export interface Proof {
  readonly equal: boolean
  readonly partitions: number
  /** Rows that each node read again and hashed; tombstones are among them. */
  readonly rows: number
  readonly sampledKeys: number
  /** Each a sentence about something that is not equal. */
  readonly findings: readonly string[]
}

export interface SampledKey {
  readonly bucket: string
  readonly key: string
}

const integers = new Intl.NumberFormat('en-US')
const findingsMax = 10
const requestsAtOnce = 16

/**
 * Has every node recompute its trees from its rows and compares them, and compares what the nodes say they hold for the
 * keys of a sample, each for itself. Errors: rejects with what a node answered.
 */
export async function proveEqual(
  urls: readonly string[],
  sample: readonly SampledKey[],
  signal: AbortSignal
): Promise<Proof> {
  const trees: (readonly Tree[])[] = []
  // One after the other: together they would only wait for the same disk.
  for (const url of urls) trees.push(await readTrees(url, true, signal))
  const findings = [
    ...differingPartitions(trees).map((partition) => `the roots of partition ${partition} differ`),
    ...trees.flatMap((ofNode, index) => damages(ofNode, urls[index] ?? '')),
    ...(await differingKeys(urls, sample, signal))
  ]
  return {
    equal: findings.length === 0,
    partitions: trees[0]?.length ?? 0,
    rows: rowsIn(trees[0] ?? []),
    sampledKeys: sample.length,
    findings: findings.slice(0, findingsMax)
  }
}

/** For people: that all is equal, or what is not. */
export function describeProof({ equal, partitions, rows, sampledKeys, findings }: Proof): string {
  const looked =
    `${partitions} roots over ${integers.format(rows)} keys, recomputed from the rows of every ` +
    `node, and the digests of ${sampledKeys} keys`
  if (equal) return `Proof: all replicas hold equal bytes (${looked}).`
  return [`THE REPLICAS DIFFER (${looked}):`, ...findings.map((text) => `  ${text}`)].join('\n')
}

export function rowsIn(trees: readonly Tree[]): number {
  return trees.reduce((sum, tree) => sum + tree.keys, 0)
}

function damages(trees: readonly Tree[], url: string): readonly string[] {
  return trees
    .filter(({ verified }) => verified !== true)
    .map(({ partition, leaves = [] }) => {
      const where = `leaves ${leaves.slice(0, findingsMax).join(', ')} of partition ${partition}`
      return `the tree of ${url} was not what its rows add up to, in ${where}`
    })
}

async function differingKeys(
  urls: readonly string[],
  sample: readonly SampledKey[],
  signal: AbortSignal
): Promise<readonly string[]> {
  const clients = urls.map((url) => new AnnealClient({ nodes: [url] }))
  const findings: string[] = []
  for (let from = 0; from < sample.length; from += requestsAtOnce) {
    signal.throwIfAborted()
    const keys = sample.slice(from, from + requestsAtOnce)
    const found = await Promise.all(keys.map((key) => holdingsOf(clients, key)))
    for (const [index, holdings] of found.entries()) {
      const isEqual = new Set(holdings).size === 1 && holdings[0]?.startsWith('ok') === true
      if (!isEqual) findings.push(`of ${keys[index]?.key} the nodes hold: ${holdings.join(', ')}`)
    }
  }
  return findings
}

/** What each node holds for the key: the state and the digest. */
async function holdingsOf(
  clients: readonly AnnealClient[],
  { bucket, key }: SampledKey
): Promise<readonly string[]> {
  const answers = await Promise.all(
    clients.map((client) => client.key(bucket, key, { local: true }))
  )
  return answers.map(({ replicas: [own] }) => `${own?.state ?? 'missing'} ${own?.digest ?? ''}`)
}
