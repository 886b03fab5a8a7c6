import { AnnealError } from '../../core/errors.ts'
import type { QuorumSpec } from '../../ring/cluster-document.ts'
import { partitionOf } from '../../ring/token.ts'
import { keyOf } from '../../server/coordinator/coordinator-context.ts'
import type { KeyView, WriteReceipt } from '../../server/data-service.ts'
import type { Node } from '../../server/node.ts'
import type { CollectedTombstones } from './collected-tombstones.ts'
import { KeyHistory, type WriteId, type WriteRecord } from './key-history.ts'
import type { LifeParameters } from './life-parameters.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { SimCluster } from './sim-cluster.ts'
import type { SimNode } from './sim-node.ts'
import { bucket, idOf, idsOf, payloadOf } from './written-values.ts'

const replicasMax = 3
const rememberedMax = 12
const burstMax = 4
const clientTimeoutMs = 15_000
const returnReadsMs = 4000

/** What a client has been given, and what it had been shown by then. */
interface Knowledge {
  readonly key: string
  readonly token: string
  readonly seen: ReadonlySet<WriteId>
}

/** What a client was shown. */
export interface Shown {
  readonly ids: readonly WriteId[]
  readonly context: string | undefined
}

export interface WorkloadReport {
  operations: number
  acknowledged: number
  failed: number
}

export interface WorkloadOptions {
  readonly cluster: SimCluster
  readonly parameters: LifeParameters
  readonly violation: (invariant: string, detail: string, history: KeyHistory) => void
  /** How many nodes have lost something so far that they had confirmed. */
  readonly copiesLost: () => number
  readonly onAcknowledged: (history: KeyHistory) => void
  readonly collected: CollectedTombstones
}

/**
 * Clients that read, write with and without what they have read, delete, and try again after unknown outcomes, on few
 * hot and many cold keys; everything that they are shown is held against the true history.
 */
export class Workload {
  readonly histories = new Map<string, KeyHistory>()
  readonly report: WorkloadReport = { operations: 0, acknowledged: 0, failed: 0 }
  readonly #options: WorkloadOptions
  readonly #random: SeededRandom
  readonly #knowledge: Knowledge[] = []
  #lastId = 0
  #stopped = false
  #active = 0

  constructor(options: WorkloadOptions) {
    this.#options = options
    this.#random = options.cluster.random.fork('workload')
    const { hotKeys, coldKeys, mode } = options.parameters
    for (let i = 0; i < hotKeys + coldKeys; i++) {
      const name = i < hotKeys ? `hot/${i}` : `cold/${i}`
      this.histories.set(name, new KeyHistory(name, mode))
    }
  }

  get active(): number {
    return this.#active
  }

  start(): void {
    for (let i = 0; i < this.#options.parameters.clients; i++) this.#later()
  }

  stop(): void {
    this.#stopped = true
  }

  /** A node has come back: somebody wants to know from it alone, as soon as it answers. */
  askReturned(host: SimNode): void {
    for (let left = this.#options.parameters.returnReads; left > 0; left--) {
      this.#options.cluster.time.schedule(
        () => {
          if (this.#stopped || host.node?.servesData !== true || host.isPaused) return
          this.#active++
          void this.read(host.node, this.#anyKey(), 1, 0).finally(() => this.#active--)
        },
        this.#random.between(0, returnReadsMs)
      )
    }
  }

  #later(): void {
    const { cluster, parameters } = this.#options
    cluster.time.schedule(
      () => {
        if (this.#stopped) return
        void this.#operate().finally(() => this.#later())
      },
      this.#random.between(0, 2 * parameters.pauseMs)
    )
  }

  async #operate(): Promise<void> {
    const node = this.#anyNode()
    if (node === null) return
    const history = this.#anyKey()
    this.#active++
    this.report.operations++
    try {
      const dice = this.#random.int(100)
      if (this.#random.chance(this.#options.parameters.burstProbability)) await this.#burst(history)
      else if (dice < 40) await this.read(node, history)
      else if (dice < 85) await this.#write(node, history)
      else if (dice < 95) await this.#delete(node, history)
      else await this.#writeWithForeignContext(node, history)
    } finally {
      this.#active--
    }
  }

  /** Writes that know nothing of each other and meet on the way to the replicas. */
  async #burst(history: KeyHistory): Promise<void> {
    const writes: Promise<void>[] = []
    for (let left = 2 + this.#random.int(burstMax - 1); left > 0; left--) {
      const node = this.#anyNode()
      if (node !== null) writes.push(this.#write(node, history))
    }
    this.report.operations += writes.length - 1
    await Promise.all(writes)
  }

  /** One read, judged. Answers with what was shown, or null where it failed. */
  async read(
    node: Node,
    history: KeyHistory,
    r = this.#quorum(),
    contextProbability = 0.2
  ): Promise<Shown | null> {
    const { violation, copiesLost } = this.#options
    const invokedMs = this.#nowMs
    const isAnyAlone = this.#watchAlone(node, history.name)
    const before = this.#pick(history, contextProbability)
    try {
      const view = await this.#answerOf(
        node,
        history,
        node.data.get(bucket, history.name, { r, context: before?.token, sloppy: this.#sloppy() })
      )
      const shown = idsOf(view)
      history.note(
        this.#nowMs,
        `${node.id}: read r=${r} shows ${shown.join(', ') || view.state} (${view.answered} of ${view.asked})`
      )
      const least = typeof r === 'number' ? r : r === 'all' ? replicasMax : r === 'quorum' ? 2 : 1
      if (view.answered < least)
        violation(
          'quorum',
          `a read with r=${r} was answered with ${view.answered} replicas`,
          history
        )
      const observed = { node: node.id, invokedMs, shown, replicas: view.answered - view.hinted }
      const wrong = [
        ...history.judge(observed, replicasMax + copiesLost()),
        ...history.judgeNewness(shown, before?.seen ?? [], copiesLost())
      ]
      for (const detail of wrong) violation('read', `a read at ${node.id} ${detail}`, history)
      this.#checkResurrection(node, history, view, { invokedMs, isAnyAlone })
      this.#remember(history, view.context, history.closure(shown))
      return { ids: shown, context: view.context ?? undefined }
    } catch (thrown) {
      this.#failed(history, thrown, `${node.id}: read r=${r}`)
      return null
    }
  }

  #checkResurrection(
    node: Node,
    history: KeyHistory,
    view: KeyView,
    { invokedMs, isAnyAlone }: { readonly invokedMs: number; readonly isAnyAlone: () => boolean }
  ): void {
    const { collected, violation } = this.#options
    // Asked alone, a replica cannot know better whose row has just turned old, which the scrub finds, or that came back with
    // an old disk and reaches nobody.
    if (view.answered === 1 && (this.#hasTurnedOld(history.name) || isAnyAlone())) return
    for (const { value } of collected.revived(history.name, view.siblings, invokedMs)) {
      const id = value === null ? 'a value' : idOf(value)
      violation('resurrection', `${node.id} shows ${id}, whose delete had gone everywhere`, history)
    }
  }

  #hasTurnedOld(name: string): boolean {
    const { row } = keyOf(Buffer.from(bucket), Buffer.from(name))
    return this.#options.cluster.nodes.some(({ disk }) => disk.hasTurnedOld(row))
  }

  /**
   * Answers, when it is called later, whether some replica may have been alone meanwhile: it had heard none of the others
   * since it started, and could not.
   */
  #watchAlone({ cluster: { ring } }: Node, name: string): () => boolean {
    const { token } = keyOf(Buffer.from(bucket), Buffer.from(name))
    const ids = ring.replicas(partitionOf(token, ring.partitions))
    const replicas = this.#options.cluster.nodes.filter(({ id }) => ids.includes(id))
    const isAnyAlone = () => replicas.some(({ node }) => node !== null && isAlone(node, ids))
    const wereDown = replicas.filter(({ node }) => node === null)
    const wasAnyAlone = isAnyAlone()
    return () => wasAnyAlone || isAnyAlone() || wereDown.some(({ node }) => node !== null)
  }

  async #write(node: Node, history: KeyHistory): Promise<void> {
    const known = this.#pick(history, 0.7)
    const record = this.#begin(node, history, 'put', known, false)
    await this.put(node, history, record, known?.token, this.#quorum())
  }

  async put(
    node: Node,
    history: KeyHistory,
    record: WriteRecord,
    context: string | undefined,
    w: QuorumSpec
  ): Promise<boolean> {
    const value = payloadOf(
      record.id,
      this.#options.parameters.largeValues && this.#random.chance(0.3)
    )
    const lives = this.#lives()
    try {
      const sloppy = this.#sloppy()
      const put = { value, contentType: 'text/plain', meta: [], context, w, sloppy }
      const receipt = await this.#answerOf(node, history, node.data.put(bucket, history.name, put))
      this.#acknowledged(history, record, receipt, w, lives)
      return true
    } catch (thrown) {
      history.fail(
        record,
        this.#nowMs,
        this.#failed(history, thrown, `${node.id}: put ${record.id}`)
      )
      return false
    }
  }

  async #delete(node: Node, history: KeyHistory): Promise<void> {
    if (!this.#options.parameters.deletes) return
    const known = this.#pick(history, 0.8)
    const record = this.#begin(node, history, 'delete', known, known === null)
    const w = this.#quorum()
    const lives = this.#lives()
    try {
      const request = { context: known?.token, w, sloppy: this.#sloppy() }
      const receipt = await this.#answerOf(
        node,
        history,
        node.data.delete(bucket, history.name, request)
      )
      this.#acknowledged(history, record, receipt, w, lives)
    } catch (thrown) {
      history.fail(
        record,
        this.#nowMs,
        this.#failed(history, thrown, `${node.id}: delete ${record.id}`)
      )
    }
  }

  /** A context of another key must be refused: accepted, it would overwrite what nobody has seen. */
  async #writeWithForeignContext(node: Node, history: KeyHistory): Promise<void> {
    const foreign = this.#knowledge.find(({ key }) => key !== history.name)
    if (foreign === undefined) return
    const record = this.#begin(node, history, 'put', null, false)
    try {
      const value = payloadOf(record.id, false)
      const put = { value, contentType: 'text/plain', meta: [], context: foreign.token }
      const receipt = await this.#answerOf(node, history, node.data.put(bucket, history.name, put))
      this.#acknowledged(history, record, receipt, 2, new Map())
      this.#options.violation(
        'context',
        `${node.id} took a context of ${foreign.key} for ${history.name}`,
        history
      )
    } catch (thrown) {
      history.fail(record, this.#nowMs, AnnealError.from(thrown).code)
    }
  }

  /** A new write, with what its writer has seen. */
  #begin(
    node: Node,
    history: KeyHistory,
    kind: 'put' | 'delete',
    known: Knowledge | null,
    takesAll: boolean
  ): WriteRecord {
    return this.beginAfter(node, history, kind, known?.seen ?? new Set(), takesAll)
  }

  beginAfter(
    node: Node,
    history: KeyHistory,
    kind: 'put' | 'delete',
    seen: ReadonlySet<WriteId>,
    takesAll: boolean
  ): WriteRecord {
    const record: WriteRecord = {
      id: ++this.#lastId,
      kind,
      seen,
      takesAll,
      invokedMs: this.#nowMs,
      node: node.id,
      confirmations: [],
      coordinator: null
    }
    history.begin(record)
    return record
  }

  #acknowledged(
    history: KeyHistory,
    record: WriteRecord,
    { context, answered, hinted, coordinator }: WriteReceipt,
    w: QuorumSpec,
    livesBefore: ReadonlyMap<string, number>
  ): void {
    this.report.acknowledged++
    const least = typeof w === 'number' ? w : w === 'all' ? replicasMax : w === 'quorum' ? 2 : 1
    if (answered < least) {
      this.#options.violation(
        'quorum',
        `write ${record.id} with w=${w} was acknowledged by ${answered}`,
        history
      )
    }
    // What stand-ins keep is on its way to replicas, and which of them have it then is not known here.
    const confirmation = { atMs: this.#nowMs, replicas: answered - hinted, copies: answered }
    history.acknowledge(record, confirmation.atMs, confirmation.replicas, confirmation.copies)
    const life = livesBefore.get(coordinator)
    const isReplica = this.#replicasOf(history).includes(coordinator)
    if (isReplica && life !== undefined && life === this.#lives().get(coordinator)) {
      record.coordinator = `${coordinator}/${life}`
      if (this.#options.copiesLost() === 0) history.carryAlong(record, confirmation)
    }
    this.#options.onAcknowledged(history)
    this.#remember(history, context, new Set([...record.seen, record.id]))
  }

  /** Only they keep what they have coordinated; a stand-in hands it over and forgets it. */
  #replicasOf(history: KeyHistory): readonly string[] {
    const up = this.#options.cluster.nodes.find(({ node }) => node !== null)?.node
    if (up === undefined || up === null) return []
    const { ring } = up.cluster
    const key = keyOf(Buffer.from(bucket), Buffer.from(history.name))
    return ring.replicas(partitionOf(key.token, ring.partitions))
  }

  #lives(): Map<string, number> {
    return new Map(this.#options.cluster.nodes.map(({ id, lives }) => [id, lives]))
  }

  /** A node that dies never answers: the client gives up, and the outcome is unknown. One that lives answers in time. */
  #answerOf<T>(node: Node, history: KeyHistory, answer: Promise<T>): Promise<T> {
    const { time } = this.#options.cluster
    const life = this.#lives().get(node.id)
    const invokedMs = time.nowMs
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        reject(new AnnealError('timeout', 'the client has given up'))
        if (this.#lives().get(node.id) !== life || node.isStopping) return
        if (this.#wasPausedSince(node, invokedMs)) return
        const detail = `${node.id} has not answered within ${clientTimeoutMs} ms`
        this.#options.violation('deadline', detail, history)
      }
      const timer = time.schedule(giveUp, clientTimeoutMs)
      answer.then(resolve, reject).finally(() => time.cancel(timer))
    })
  }

  #failed(history: KeyHistory, thrown: unknown, what: string): string {
    this.report.failed++
    const error = AnnealError.from(thrown)
    history.note(this.#nowMs, `${what} failed: ${error.code}`)
    if (error.code === 'internal' && !/database|storage|write/.test(error.message)) {
      this.#options.violation('error', `${what}: ${error.message}`, history)
    }
    return error.code
  }

  #remember(history: KeyHistory, token: string | null, seen: ReadonlySet<WriteId>): void {
    if (token === null) return
    this.#knowledge.push({ key: history.name, token, seen })
    if (this.#knowledge.length > rememberedMax * this.histories.size) this.#knowledge.shift()
  }

  /** Something that a client has kept of this key, mostly the latest; null for a client that knows nothing. */
  #pick(history: KeyHistory, probability: number): Knowledge | null {
    if (!this.#random.chance(probability)) return null
    const known = this.#knowledge.filter(({ key }) => key === history.name)
    if (known.length === 0) return null
    return this.#random.chance(0.7) ? (known.at(-1) ?? null) : this.#random.pick(known)
  }

  #wasPausedSince({ id }: Node, sinceMs: number): boolean {
    const host = this.#options.cluster.nodes.find((other) => other.id === id)
    return host !== undefined && (host.isPaused || host.pausedMs >= sinceMs)
  }

  #anyNode(): Node | null {
    const up = this.#options.cluster.nodes.flatMap(({ node, isPaused }) =>
      node?.isReady && !isPaused ? [node] : []
    )
    return up.length === 0 ? null : this.#random.pick(up)
  }

  #anyKey(): KeyHistory {
    const all = [...this.histories.values()]
    const { hotKeys, coldKeys } = this.#options.parameters
    const hot = coldKeys === 0 || this.#random.chance(0.6)
    const index = hot ? this.#random.int(hotKeys) : hotKeys + this.#random.int(coldKeys)
    const history = all[index]
    if (history === undefined) throw new Error('there is a key for each number')
    return history
  }

  /** Once clients are done what counts is what replicas hold. */
  #sloppy(): boolean {
    return (
      !this.#stopped && !this.#random.chance(this.#options.parameters.healing.strictProbability)
    )
  }

  #quorum(): QuorumSpec {
    return this.#random.pick<QuorumSpec>(['quorum', 'quorum', 2, 2, 'one', 'all', 3, 1])
  }

  get #nowMs(): number {
    return this.#options.cluster.time.nowMs
  }
}

function isAlone({ id, arriving, peers }: Node, replicas: readonly string[]): boolean {
  const isMet = (other: string) =>
    arriving.hearing.hasHeard(other) || peers.isUp(other) || peers.awaited.includes(other)
  return !replicas.some((other) => other !== id && isMet(other))
}
