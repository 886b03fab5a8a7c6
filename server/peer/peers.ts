import { equalBytes } from '../../core/bytes.ts'
import type {
  Channel,
  Clock,
  Listener,
  Log,
  RandomSource,
  TimerHandle,
  Timers,
  Transport
} from '../../core/ports.ts'
import type { ClusterKeys } from '../../core/secrets.ts'
import type { Request } from '../../proto/frames.ts'
import { FailureDetector } from '../../ring/failure-detector.ts'
import type { ClusterState } from '../cluster-state.ts'
import { FoundNodes } from './found-nodes.ts'
import type { RefusalCode, SelfDescription } from './handshake.ts'
import { PeerAcceptor, type RequestHandler } from './peer-acceptor.ts'
import { type Outcome, PeerLink } from './peer-link.ts'
import { RefusalLog } from './refusal-log.ts'

export interface PeersOptions {
  readonly self: SelfDescription
  readonly listenAddress: string
  readonly seeds: readonly string[]
  readonly heartbeatMs: number
  readonly transport: Transport
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  readonly log: Log
  readonly keys: ClusterKeys
  readonly handle: RequestHandler
  /** The node can be asked from now on. */
  readonly onUp: (id: string) => void
  /** Whether this node takes writes at the moment; told to the others with every heartbeat. */
  readonly acceptsWrites: () => boolean
}

/** What coordinators see of the other nodes. */
export interface PeerRequests {
  /** This node's opinion: worth asking. */
  isUp(id: string): boolean
  /** Up, and taking writes. */
  acceptsWrites(id: string): boolean
  request(
    id: string,
    channel: Channel,
    body: Request,
    timeoutMs: number,
    callback: (outcome: Outcome) => void
  ): void
  /** Exchanges cluster documents with a peer, after the two were found to go by different epochs. */
  exchangeDocuments(id: string, callback: () => void): void
}

/** The two links to one node. */
interface PeerLinks {
  readonly small: PeerLink
  readonly bulk: PeerLink
  gossiping: boolean
  acceptsWrites: boolean
  /** An attempt to reach the node has failed, or a link was lost. */
  failed: boolean
}

/** Heartbeats without which a node counts as down. */
const silentHeartbeats = 3.5
const gossipTimeoutMs = 5000
const ownNoncesMax = 256

/**
 * The links to all other nodes: dials seeds and members, listens for them, exchanges heartbeats and cluster documents,
 * and forms this node's opinion of who is up.
 */
export class Peers implements PeerRequests {
  readonly #options: PeersOptions
  readonly #cluster: ClusterState
  readonly #detector: FailureDetector
  readonly #refusals: RefusalLog
  /** By address: seeds are known by nothing else. */
  readonly #dialed = new Map<string, PeerLinks>()
  /** By node id, once a link is ready. */
  readonly #ready = new Map<string, PeerLinks>()
  /** Connections that peers have opened to this node, by id and channel. */
  readonly #accepted = new Map<string, number>()
  readonly #ownNonces: Uint8Array[] = []
  /** May be this node itself. */
  readonly #foundNodes: FoundNodes
  #listener: Listener | null = null
  #heartbeat: TimerHandle | null = null
  #heartbeatDueMs = Number.POSITIVE_INFINITY
  #closed = false
  #hasSettled = false

  constructor(options: PeersOptions, cluster: ClusterState) {
    this.#options = options
    this.#cluster = cluster
    this.#detector = new FailureDetector({ silenceMs: options.heartbeatMs * silentHeartbeats })
    this.#refusals = new RefusalLog(options.log, options.clock)
    this.#foundNodes = new FoundNodes(options.clock)
  }

  /** Errors: AnnealError where the address cannot be listened on. */
  async listen(): Promise<string> {
    const { transport, listenAddress, timers, handle, self, keys, random } = this.#options
    const acceptorOptions = {
      handshake: {
        self,
        keys,
        random,
        isOwnNonce: (nonce: Uint8Array) => this.#isOwnNonce(nonce),
        isTaken: (id: string, process: Uint8Array) => this.#isTaken(id, process)
      },
      timers,
      handle,
      epoch: () => this.#cluster.ring.epoch,
      onHeard: (id: string) => this.#detector.heard(id, this.#options.clock.monotonic()),
      onReady: (id: string, channel: Channel) => this.#cameToUs(id, channel),
      onGone: (id: string, channel: Channel) => this.#countAccepted(id, channel, -1),
      onRefused: (remote: string, code: RefusalCode, detail: string) =>
        code !== 'itself' && this.#refusals.refused(remote, code, detail)
    }
    this.#listener = await transport.listen(
      listenAddress,
      (connection) => new PeerAcceptor(connection, acceptorOptions)
    )
    return this.#listener.address
  }

  /** Begins to dial, once the node can answer for itself. */
  start(): void {
    this.clusterChanged()
    this.#beat()
  }

  isUp(id: string): boolean {
    const links = this.#ready.get(id)
    return (
      links?.small.isReady === true &&
      links.bulk.isReady &&
      this.#detector.isUp(id, this.#options.clock.monotonic())
    )
  }

  acceptsWrites(id: string): boolean {
    return this.isUp(id) && this.#ready.get(id)?.acceptsWrites === true
  }

  /**
   * The members that this node and they themselves have not reached each other yet, although nothing has shown so far
   * that they cannot. Empty for good once it was: what happens later is a failure, not a start.
   */
  get awaited(): readonly string[] {
    if (this.#hasSettled) return []
    const awaited: string[] = []
    for (const { id, peer, state } of this.#cluster.document.members.values()) {
      if (id === this.#options.self.nodeId || state === 'removed') continue
      const isLinked = this.isUp(id) && this.#hasCome(id, 'small') && this.#hasCome(id, 'bulk')
      if (!isLinked && this.#dialed.get(peer)?.failed !== true) awaited.push(id)
    }
    this.#hasSettled = awaited.length === 0 && this.#cluster.self !== undefined
    return awaited
  }

  /** Requests that wait for a response, over all links. */
  get inFlight(): number {
    let sum = 0
    for (const { small, bulk } of this.#dialed.values()) sum += small.inFlight + bulk.inFlight
    return sum
  }

  request(
    id: string,
    channel: Channel,
    body: Request,
    timeoutMs: number,
    callback: (outcome: Outcome) => void
  ): void {
    const links = this.#ready.get(id)
    if (links === undefined || !this.isUp(id))
      callback({ kind: 'noResponse', reason: 'unreachable' })
    else links[channel].request(body, timeoutMs, callback)
  }

  exchangeDocuments(id: string, callback: () => void): void {
    const links = this.#ready.get(id)
    if (links === undefined) callback()
    else this.#gossip(links, callback)
  }

  /** Gives these nodes the document. Resolves with how many have it on disk, once `needed` have or all have answered. */
  spreadDocument(ids: readonly string[], needed: number, timeoutMs: number): Promise<number> {
    const { document } = this.#cluster
    return new Promise((resolve) => {
      let stored = 0
      let outstanding = ids.length
      if (needed <= 0 || outstanding === 0) resolve(0)
      for (const id of ids) {
        this.request(id, 'small', { kind: 'gossip', document }, timeoutMs, ({ kind }) => {
          outstanding--
          if (kind === 'gossiped') stored++
          if (stored >= needed || outstanding === 0) resolve(stored)
        })
      }
    })
  }

  /** Dials who is new in the cluster document, drops who left, and tells everybody. */
  clusterChanged(): void {
    this.#dialWanted()
    if (this.#closed) return
    for (const links of this.#ready.values()) this.#gossip(links, () => {})
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#heartbeat !== null) this.#options.timers.clear(this.#heartbeat)
    for (const [address, links] of this.#dialed) this.#drop(address, links, 'this node stops')
    await this.#listener?.close()
  }

  #wantedAddresses(): Set<string> {
    const { self, seeds } = this.#options
    const wanted = new Set(seeds.filter((seed) => !this.#leadsToLinked(seed)))
    for (const { id, peer, state } of this.#cluster.document.members.values()) {
      if (id !== self.nodeId && state !== 'removed' && !this.#leadsHere(peer)) wanted.add(peer)
    }
    const own = this.#cluster.self?.peer
    if (own !== undefined) wanted.delete(own)
    return wanted
  }

  /** Whether the node that was found there is this one, or linked under the address that it tells the others. */
  #leadsToLinked(seed: string): boolean {
    const linked = this.#ready.get(this.#found(seed) ?? '')
    return this.#leadsHere(seed) || (linked !== undefined && linked.small.address !== seed)
  }

  #leadsHere(address: string): boolean {
    return this.#found(address) === this.#options.self.nodeId
  }

  #found(address: string): string | undefined {
    return this.#foundNodes.at(address, this.#ready.size > 0)
  }

  #dialWanted(): void {
    if (this.#closed) return
    const wanted = this.#wantedAddresses()
    for (const address of wanted) if (!this.#dialed.has(address)) this.#dial(address)
    for (const [address, links] of this.#dialed) {
      if (!wanted.has(address)) this.#drop(address, links, 'no longer a member')
    }
  }

  #dial(address: string): void {
    const links: PeerLinks = {
      small: this.#createLink(address, 'small', () => links),
      bulk: this.#createLink(address, 'bulk', () => links),
      gossiping: false,
      acceptsWrites: false,
      failed: false
    }
    this.#dialed.set(address, links)
    links.small.start()
  }

  #createLink(address: string, channel: Channel, links: () => PeerLinks): PeerLink {
    const { self, keys, random, transport, clock, timers } = this.#options
    return new PeerLink({
      address,
      channel,
      transport,
      clock,
      timers,
      random,
      handshake: { self, keys, random },
      epoch: () => this.#cluster.ring.epoch,
      events: {
        onDialing: (nonce) => {
          this.#ownNonces.push(nonce)
          if (this.#ownNonces.length > ownNoncesMax) this.#ownNonces.shift()
        },
        onReady: (link, peer) => this.#linkReady(links(), link, peer.nodeId),
        onHeard: (link) => {
          if (link.peerId !== null) this.#detector.heard(link.peerId, clock.monotonic())
        },
        onDown: (_link, reason) => this.#linkDown(links(), reason),
        onRefused: (link, code, detail) => {
          if (code === 'itself') this.#reachedMyself(links(), link)
          else this.#refusals.refused(link.address, code, detail)
        }
      }
    })
  }

  #linkReady(links: PeerLinks, link: PeerLink, id: string): void {
    this.#foundNodes.note(link.address, id)
    if (link.channel === 'small') links.bulk.start()
    if (!links.small.isReady || !links.bulk.isReady) return
    if (links.small.peerId !== links.bulk.peerId) {
      this.#partPair(links)
      return
    }
    const other = this.#ready.get(id)
    const advertised = this.#cluster.member(id)?.peer
    // Two ways to one node: the address that it tells the others wins over a seed's.
    if (other !== undefined && other !== links && links.small.address !== advertised) return
    const { clock, log } = this.#options
    this.#ready.set(id, links)
    links.acceptsWrites = true
    this.#detector.connected(id, clock.monotonic())
    this.#detector.heard(id, clock.monotonic())
    log.info({ peer: id, address: link.address }, 'peer is up')
    // What the two learn from each other, they pass on by themselves; a seed may turn out to be a known member.
    this.#gossip(links, () => {
      this.#dialWanted()
      this.#options.onUp(id)
    })
  }

  #linkDown(links: PeerLinks, reason: string): void {
    links.failed = true
    for (const [id, ready] of this.#ready) {
      if (ready !== links) continue
      this.#ready.delete(id)
      this.#detector.disconnected(id, this.#options.clock.monotonic())
      this.#options.log.warn({ peer: id, address: links.small.address, reason }, 'peer is down')
    }
  }

  #drop(address: string, links: PeerLinks, reason: string): void {
    this.#dialed.delete(address)
    links.small.close(reason)
    links.bulk.close(reason)
    for (const [id, ready] of this.#ready) {
      if (ready !== links) continue
      this.#ready.delete(id)
      this.#detector.disconnected(id, this.#options.clock.monotonic())
    }
  }

  #reachedMyself(links: PeerLinks, link: PeerLink): void {
    if (links.small.isReady) {
      this.#partPair(links)
      return
    }
    this.#foundNodes.note(link.address, this.#options.self.nodeId)
    this.#dialWanted()
  }

  /**
   * The two links have reached different nodes, by a name that has several behind it: as one they would count the
   * answers of one node for the other's. Where each of them is, the first of them may know.
   */
  #partPair(links: PeerLinks): void {
    this.#gossip(links, () => {
      if (links.small.peerId === links.bulk.peerId) return
      links.small.giveUp('the two links to one node have reached two')
      links.bulk.giveUp('the two links to one node have reached two')
    })
  }

  /** A peer that comes to this node is there to be dialed, whatever the last attempts said. */
  #cameToUs(id: string, channel: Channel): void {
    this.#countAccepted(id, channel, 1)
    const address = this.#cluster.member(id)?.peer
    if (address !== undefined) this.#dialed.get(address)?.[channel].hurry()
  }

  #countAccepted(id: string, channel: Channel, change: 1 | -1): void {
    const key = `${channel} ${id}`
    const count = (this.#accepted.get(key) ?? 0) + change
    if (count > 0) this.#accepted.set(key, count)
    else this.#accepted.delete(key)
  }

  #hasCome(id: string, channel: Channel): boolean {
    return this.#accepted.has(`${channel} ${id}`)
  }

  // An id is free again as soon as its node is down: a replacement may come back under it.
  #isTaken(id: string, process: Uint8Array): boolean {
    const known = this.#ready.get(id)?.small.peerProcess
    return known !== undefined && known !== null && !equalBytes(known, process) && this.isUp(id)
  }

  #isOwnNonce(nonce: Uint8Array): boolean {
    return this.#ownNonces.some((own) => Buffer.compare(own, nonce) === 0)
  }

  #beat(): void {
    const { timers, clock, random, acceptsWrites, heartbeatMs } = this.#options
    const nowMs = clock.monotonic()
    // A timer that is late tells of a process that was stopped, or had too much to do: what peers have sent meanwhile
    // waits unread, and says nothing about them.
    const lateMs = nowMs - this.#heartbeatDueMs
    if (lateMs > heartbeatMs / 10) this.#detector.excuse(lateMs, nowMs)
    for (const links of this.#ready.values()) {
      const { digest } = this.#cluster
      const ping: Request = { kind: 'ping', documentDigest: digest, acceptsWrites: acceptsWrites() }
      links.small.request(ping, heartbeatMs * silentHeartbeats, (outcome) => {
        if (outcome.kind !== 'pong') return
        links.acceptsWrites = outcome.acceptsWrites
        if (outcome.documentDigest !== this.#cluster.digest) this.#gossip(links, () => {})
      })
    }
    this.#dialWanted()
    const delayMs = heartbeatMs * (0.9 + random.fraction() / 5)
    this.#heartbeatDueMs = nowMs + delayMs
    this.#heartbeat = timers.set(() => this.#beat(), delayMs)
  }

  /**
   * Asks first and tells afterwards: a new node learns what the cluster is before it says what it takes itself for.
   * Nothing is sent where both documents are the same already.
   */
  #gossip(links: PeerLinks, callback: () => void): void {
    if (links.gossiping) {
      callback()
      return
    }
    links.gossiping = true
    const finish = () => {
      links.gossiping = false
      callback()
    }
    links.small.request({ kind: 'gossip', document: null }, gossipTimeoutMs, (outcome) => {
      if (outcome.kind !== 'gossiped') return finish()
      this.#cluster.merge(outcome.document)
      this.#cluster.announceSelf()
      const { document } = this.#cluster
      links.small.request({ kind: 'gossip', document }, gossipTimeoutMs, (answer) => {
        if (answer.kind === 'gossiped') this.#cluster.merge(answer.document)
        finish()
      })
    })
  }
}
