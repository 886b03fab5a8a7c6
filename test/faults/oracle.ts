import { setTimeout as sleep } from 'node:timers/promises'
import { call, contextOf, type KvAnswer, valuesOf } from '../cluster/kv-client.ts'
import type { ServerProcess } from '../cluster/server-process.ts'
import { KeyHistory, type WriteId, type WriteRecord } from '../sim/key-history.ts'
import { payloadOf } from '../sim/written-values.ts'
import { Findings } from './findings.ts'

export const bucket = 'faults'
/** Where the latest write wins, for the keys that begin with `lwwPrefix`. */
export const lwwBucket = 'faults-lww'
export const lwwPrefix = 'lww/'
const replicasMax = 3
const clientTimeoutMs = 3000
const serverTimeoutMs = 2000
const sweepMs = 120_000
const pollMs = 50
const sweepers = 12

/** What a client has been given, and what it had been shown by then. */
export interface Knowledge {
  readonly token: string | undefined
  readonly seen: ReadonlySet<WriteId>
}

/** How a call ended: with what the client now knows, or not answered in a way that says anything. */
export type CallOutcome =
  | { readonly kind: 'answered'; readonly knowledge: Knowledge }
  | { readonly kind: 'failed'; readonly status: number }

const nothingKnown: Knowledge = { token: undefined, seen: new Set() }

/** Reads and writes over HTTP, held against the true history of each key. */
export class Oracle {
  readonly findings = new Findings()
  readonly #histories = new Map<string, KeyHistory>()
  #lastId = 0
  #sweepEndsMs = 0
  /** Nodes that may lack what they had confirmed: so many replicas more may be behind without a read meeting it. */
  copiesLost = 0

  historyOf(key: string): KeyHistory {
    const known = this.#histories.get(key)
    if (known !== undefined) return known
    const history = new KeyHistory(key, key.startsWith(lwwPrefix) ? 'lww' : 'siblings')
    this.#histories.set(key, history)
    return history
  }

  async read(node: ServerProcess, history: KeyHistory, r: string): Promise<CallOutcome> {
    const invokedMs = performance.now()
    const lostBefore = this.copiesLost
    const answer = await this.#call(node, 'GET', history, `r=${r}`, {})
    if (![200, 300, 404].includes(answer.status)) return this.#failed(node, history, answer)
    const shown = idsOf(answer)
    history.note(
      performance.now(),
      `${node.id}: read r=${r} shows ${shown.join(', ') || 'nothing'}`
    )
    const observed = { node: node.id, invokedMs, shown, replicas: replicasOf(answer) }
    const n = replicasMax + Math.max(lostBefore, this.copiesLost)
    this.findings.add(history, `a read at ${node.id}`, history.judge(observed, n))
    return {
      kind: 'answered',
      knowledge: { token: contextOf(answer), seen: history.closure(shown) }
    }
  }

  put(
    node: ServerProcess,
    history: KeyHistory,
    known: Knowledge | null,
    isLarge: boolean
  ): Promise<CallOutcome> {
    const record = this.#begin(node, history, 'put', known)
    return this.#write(node, history, record, known, payloadOf(record.id, isLarge))
  }

  delete(node: ServerProcess, history: KeyHistory, known: Knowledge | null): Promise<CallOutcome> {
    return this.#write(node, history, this.#begin(node, history, 'delete', known), known)
  }

  async #write(
    node: ServerProcess,
    history: KeyHistory,
    record: WriteRecord,
    known: Knowledge | null,
    value?: Buffer
  ): Promise<CallOutcome> {
    const method = value === undefined ? 'DELETE' : 'PUT'
    const content = value === undefined ? {} : { value }
    const answer = await this.#call(node, method, history, '', {
      ...content,
      context: known?.token
    })
    if (answer.status !== 204) return this.#failed(node, history, answer)
    history.acknowledge(record, performance.now(), replicasOf(answer))
    this.findings.acknowledged++
    const seen = new Set([...record.seen, record.id])
    return { kind: 'answered', knowledge: { token: contextOf(answer), seen } }
  }

  /**
   * After the faults: each acknowledged write is read from all replicas, through every node, or overwritten by what had
   * seen it; and then every replica has it by itself. Answers whether it came to its end, which needs every node to
   * answer within two minutes.
   */
  async sweep(nodes: readonly ServerProcess[]): Promise<boolean> {
    const waiting = [...this.#histories.values()].filter(({ events }) => events.length > 0)
    this.#sweepEndsMs = performance.now() + sweepMs
    let isWhole = true
    const work = async () => {
      while (isWhole) {
        const history = waiting.pop()
        if (history === undefined) return
        if (!(await this.#sweepKey(history, nodes))) isWhole = false
      }
    }
    await Promise.all(Array.from({ length: sweepers }, work))
    if (isWhole) this.copiesLost = 0
    return isWhole
  }

  async #sweepKey(history: KeyHistory, nodes: readonly ServerProcess[]): Promise<boolean> {
    for (const node of nodes) {
      const shown = await this.#finalRead(nodes, node, history, 'all')
      if (shown === null) return false
      const where = `the final read at ${node.id}`
      this.findings.add(history, where, history.judgeEnd(shown, this.copiesLost))
    }
    if (!(await this.#agree(history, nodes))) return false
    // From here on every replica holds what was confirmed, or what had seen it.
    for (const record of history.writes) {
      if (record.confirmations.length === 0) continue
      history.acknowledge(record, performance.now(), replicasMax)
    }
    return true
  }

  /** Whether the replicas show the same, each read alone; a read of all of them repairs what does not. */
  async #agree(history: KeyHistory, nodes: readonly ServerProcess[]): Promise<boolean> {
    for (;;) {
      const alone = (node: ServerProcess) => this.#finalRead(nodes, node, history, 'one')
      const views = await Promise.all(nodes.map(alone))
      if (views.includes(null)) return false
      if (new Set(views.map((shown) => shown?.sort().join())).size === 1) return true
      for (const node of nodes) await this.#finalRead(nodes, node, history, 'all')
      if (performance.now() > this.#sweepEndsMs) {
        this.findings.surprise(`the replicas of ${history.name} still differ after the repair`)
        return false
      }
      await sleep(pollMs)
    }
  }

  /** Tries until there is an answer; null where the time of the sweep is up, or one of the nodes is gone. */
  async #finalRead(
    nodes: readonly ServerProcess[],
    node: ServerProcess,
    history: KeyHistory,
    r: string
  ): Promise<WriteId[] | null> {
    while (nodes.every(({ isRunning }) => isRunning)) {
      const answer = await this.#call(node, 'GET', history, `r=${r}`, {})
      if ([200, 300, 404].includes(answer.status)) return idsOf(answer)
      if (performance.now() > this.#sweepEndsMs) {
        this.findings.surprise(`${node.id} did not answer for ${history.name}: ${answer.status}`)
        return null
      }
      await sleep(pollMs)
    }
    return null
  }

  #begin(
    node: ServerProcess,
    history: KeyHistory,
    kind: 'put' | 'delete',
    known: Knowledge | null
  ): WriteRecord {
    const { token, seen } = known ?? nothingKnown
    const record: WriteRecord = {
      id: ++this.#lastId,
      kind,
      seen,
      takesAll: kind === 'delete' && token === undefined,
      invokedMs: performance.now(),
      node: node.id,
      confirmations: [],
      coordinator: null
    }
    history.begin(record)
    return record
  }

  /** A client that waits no longer than it has to: a node that is stopped takes the connection and never answers. */
  async #call(
    node: ServerProcess,
    method: 'GET' | 'PUT' | 'DELETE',
    history: KeyHistory,
    query: string,
    rest: { value?: Buffer; context?: string | undefined }
  ): Promise<KvAnswer> {
    const place = history.name.startsWith(lwwPrefix) ? lwwBucket : bucket
    const path = `/kv/${place}/${encodeURIComponent(history.name)}?timeout=${serverTimeoutMs}&${query}`
    const impatience = new AbortController()
    const givenUp = sleep(clientTimeoutMs, undefined, { signal: impatience.signal }).then(
      (): KvAnswer => ({ ...noAnswer, failure: 'the client has given up' }),
      () => noAnswer
    )
    try {
      return await Promise.race([
        call(node.url, path.replace(/&$/, ''), { method, ...rest }),
        givenUp
      ])
    } finally {
      impatience.abort()
    }
  }

  #failed(node: ServerProcess, history: KeyHistory, answer: KvAnswer): CallOutcome {
    const { status } = answer
    const text = answer.failure === '' ? answer.body.toString() : answer.failure
    history.note(performance.now(), `${node.id}: failed, ${status} ${text.slice(0, 80)}`)
    this.findings.unanswered++
    const isExpected = [0, 409, 503, 504, 507].includes(status)
    const isStorage = status === 500 && /database|storage/i.test(text)
    if (!isExpected && !isStorage) this.findings.surprise(`${node.id} answered ${status}: ${text}`)
    return { kind: 'failed', status }
  }
}

const noAnswer: KvAnswer = { status: 0, headers: {}, body: Buffer.alloc(0), ms: 0, failure: '' }

/** The replicas that took part, by what the answer says of itself. */
function replicasOf({ headers }: KvAnswer): number {
  return Number(/^(\d+)\//.exec(String(headers['x-replicas']))?.[1] ?? 0)
}

/** The writes whose values are shown; bytes that no client ever sent count as write -1. */
function idsOf(answer: KvAnswer): WriteId[] {
  return valuesOf(answer).map((text) => {
    const id = Number(/^(\d+):/.exec(text)?.[1] ?? -1)
    if (id < 0) return -1
    return [true, false].some((isLarge) => payloadOf(id, isLarge).toString() === text) ? id : -1
  })
}
