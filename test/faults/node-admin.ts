import type { Tree } from '../../server/cli/read-trees.ts'
import type { ServerProcess } from '../cluster/server-process.ts'

const timeoutMs = 20_000

export interface HintBacklog {
  readonly target: string
  readonly count: number
  readonly bytes: number
}

/** An exchange in progress, as the node that began it sees it. */
export interface ExchangeSeen {
  readonly peer: string
  readonly startedAt: string
  readonly rowsSent: number
  readonly rowsReceived: number
  readonly rowsToShip: number
}

export interface ReplicaSeen {
  readonly state: 'ok' | 'missing' | 'damaged' | 'unreachable'
  readonly versions: readonly { readonly tombstone: boolean }[]
}

export function treesOf(node: ServerProcess, verify: boolean): Promise<readonly Tree[]> {
  return answerOf(node, `/admin/trees${verify ? '?verify=true' : ''}`)
}

export function hintsOf(node: ServerProcess): Promise<readonly HintBacklog[]> {
  return answerOf(node, '/admin/hints')
}

export async function exchangesOf(node: ServerProcess): Promise<readonly ExchangeSeen[]> {
  const { exchanges } = await answerOf<{ exchanges: ExchangeSeen[] }>(node, '/admin/repair')
  return exchanges
}

/** Stops or goes on with the background repair of one node. */
export async function setRepair(node: ServerProcess, order: 'pause' | 'resume'): Promise<void> {
  await answerOf(node, `/admin/repair/${order}`, 'POST')
}

/** What this node itself holds for a key; it asks nobody else. */
export async function heldBy(
  node: ServerProcess,
  bucket: string,
  key: string
): Promise<ReplicaSeen> {
  const path = `/admin/keys/${bucket}/${encodeURIComponent(key)}?local=true`
  const { replicas } = await answerOf<{ replicas: ReplicaSeen[] }>(node, path)
  const [own] = replicas
  if (own === undefined) throw new Error(`${node.id} is no replica of ${key}`)
  return own
}

/** A reading of one node's metrics. */
export class MetricsReading {
  readonly #samples: ReadonlyMap<string, number>

  constructor(samples: ReadonlyMap<string, number>) {
    this.#samples = samples
  }

  /** All samples of this name with these labels, added up; 0 where there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    let sum = 0
    for (const [sample, value] of this.#samples) {
      const isOfIt = sample === name || sample.startsWith(`${name}{`)
      if (isOfIt && wanted.every((part) => sample.includes(part))) sum += value
    }
    return sum
  }
}

export async function metricsOf(node: ServerProcess): Promise<MetricsReading> {
  const answer = await fetch(`${node.url}/metrics`, { signal: AbortSignal.timeout(timeoutMs) })
  const samples = (await answer.text()).split('\n').flatMap((line): [string, number][] => {
    const [, sample = '', value] = /^(anneal_\S*(?:\{.*\})?) (\S+)$/.exec(line) ?? []
    return sample === '' ? [] : [[sample, Number(value)]]
  })
  return new MetricsReading(new Map(samples))
}

/** Errors: rejects where there is no answer in time, or one that is not 2xx. */
async function answerOf<T>(node: ServerProcess, path: string, method = 'GET'): Promise<T> {
  const signal = AbortSignal.timeout(timeoutMs)
  const answer = await fetch(`${node.url}${path}`, { method, signal })
  const text = await answer.text()
  if (!answer.ok)
    throw new Error(`${node.id} answered ${method} ${path} with ${answer.status} ${text}`)
  return JSON.parse(text) as T
}
