import { AnnealError } from '../../core/errors.ts'
import type {
  Acceptor,
  Channel,
  Connection,
  ConnectionEvents,
  Listener,
  Transport
} from '../../core/ports.ts'
import { formatAddress, parseAddress } from '../../server/address.ts'
import type { SeededRandom } from './seeded-random.ts'
import { type EndpointNetwork, SimEndpoint, type SimHost } from './sim-endpoint.ts'
import { type LatencyRange, SimTopology } from './sim-topology.ts'
import { type Parcel, SimWire } from './sim-wire.ts'
import { TraceDigest } from './trace-digest.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface SimNetworkOptions {
  readonly time: VirtualTime
  readonly random: SeededRandom
  readonly latency?: LatencyRange
  readonly messageBytesMax?: number
  readonly sendWindowBytes?: number
  readonly connectTimeoutMs?: number
  /** How long a connection survives that a cut has silenced. */
  readonly keepaliveMs?: number
}

/** Faults that strike by chance, each a probability; may be changed while the network runs. */
export interface ChanceFaults {
  /** A message arrives a second time, later. */
  repeat: number
  /** A message never arrives, though the connection lives on. */
  lose: number
}

interface Link {
  readonly dialer: SimEndpoint
  readonly dialerNode: string
  readonly acceptorNode: string
  readonly wires: readonly SimWire[]
  acceptor: SimEndpoint | null
}

interface SimListener {
  readonly host: SimHost
  readonly acceptor: Acceptor
}

const noBytes = new Uint8Array(0)
const resetDelayMsMax = 20
const repeatDelayMsMax = 50
const firstChosenPort = 20_000

/**
 * A network between simulated nodes, on virtual time. Every choice comes from the seed, so that a run can be repeated,
 * and a digest over everything that happened proves that it was.
 */
export class SimNetwork implements EndpointNetwork {
  readonly time: VirtualTime
  readonly messageBytesMax: number
  readonly sendWindowBytes: number
  readonly faults: ChanceFaults = { repeat: 0, lose: 0 }
  /** Called with each line of the trace, to see where two runs part. */
  onTrace: ((line: string) => void) | null = null
  readonly #random: SeededRandom
  readonly #connectTimeoutMs: number
  readonly #keepaliveMs: number
  readonly #topology: SimTopology
  readonly #hosts = new Map<string, SimHost>()
  readonly #listeners = new Map<string, SimListener>()
  // Which node an address belongs to, also while nobody listens there: a cut applies to it all the same.
  readonly #owners = new Map<string, string>()
  readonly #aliases = new Map<string, readonly string[]>()
  readonly #links = new Set<Link>()
  #linkCount = 0
  #nextPort = firstChosenPort
  readonly #trace = new TraceDigest()

  constructor(options: SimNetworkOptions) {
    this.time = options.time
    this.#random = options.random.fork('network')
    this.#topology = new SimTopology(this.#random, options.latency ?? { minMs: 0.2, maxMs: 3 })
    this.messageBytesMax = options.messageBytesMax ?? 256 * 1024 * 1024
    this.sendWindowBytes = options.sendWindowBytes ?? 1024 * 1024
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 5000
    this.#keepaliveMs = options.keepaliveMs ?? 10_000
  }

  /** Digest of everything that has happened so far: equal for equal seeds, and else for nothing. */
  get traceDigest(): string {
    return this.#trace.hex
  }

  /** The network as one life of the node sees it; after a crash, a new call begins a new life. */
  transportFor(nodeName: string): Transport {
    const host = this.#hosts.get(nodeName) ?? { name: nodeName, isAlive: true, untold: [] }
    this.#hosts.set(nodeName, host)
    return {
      listen: (address, acceptor) => this.#listen(host, address, acceptor),
      dial: (address, channel, events) => this.#dial(host, address, channel, events)
    }
  }

  /** What a resolver gives for a name. Of several addresses, those who dial get one after the other. */
  alias(name: string, ...addresses: readonly string[]): void {
    this.#aliases.set(name, addresses)
  }

  /** Sets the latency between two nodes, as between regions. */
  setLatency(a: string, b: string, latency: LatencyRange): void {
    this.#topology.setLatency(a, b, latency)
  }

  /** Silences both directions: nothing arrives, and neither side is told. */
  cut(a: string, b: string): void {
    this.cutOneWay(a, b)
    this.cutOneWay(b, a)
  }

  cutOneWay(from: string, to: string): void {
    const cut = this.#topology.cut(from, to)
    if (cut === null) return
    for (const link of this.#linksBetween(from, to)) {
      this.time.schedule(() => {
        if (!cut.lasts()) return
        link.dialer.finish('the keepalive was not answered')
        link.acceptor?.finish('the keepalive was not answered')
      }, this.#keepaliveMs)
    }
  }

  isCut(from: string, to: string): boolean {
    return this.#topology.isCut(from, to)
  }

  /** Ends the cuts between two nodes, in both directions; what waited goes on its way. */
  heal(a: string, b: string): void {
    this.#topology.heal(a, b)
    for (const link of this.#linksBetween(a, b)) for (const wire of link.wires) wire.resume()
  }

  healAll(): void {
    this.#topology.healAll()
    for (const link of this.#links) for (const wire of link.wires) wire.resume()
  }

  /** The process of a node is stopped: what is sent to it waits, and its peers are told nothing until keepalive tells them. */
  pause(nodeName: string): void {
    const host = this.#hosts.get(nodeName)
    if (host === undefined) return
    this.#topology.pause(nodeName)
    for (const link of this.#linksOf(nodeName)) {
      this.time.schedule(() => {
        if (!host.isAlive || !this.#topology.isPaused(nodeName)) return
        link.dialer.finish('the keepalive was not answered')
        link.acceptor?.finish('the keepalive was not answered')
      }, this.#keepaliveMs)
    }
  }

  /** The process goes on, and hears what it has missed. */
  resume(nodeName: string): void {
    if (!this.#topology.isPaused(nodeName)) return
    this.#topology.resume(nodeName)
    for (const tell of this.#hosts.get(nodeName)?.untold.splice(0) ?? []) tell()
    for (const link of this.#linksOf(nodeName)) for (const wire of link.wires) wire.resume()
  }

  isPaused(nodeName: string): boolean {
    return this.#topology.isPaused(nodeName)
  }

  /** Ends the life of a node: it hears nothing any more, and its peers see their connections close after a while. */
  crash(nodeName: string): void {
    const host = this.#hosts.get(nodeName)
    if (host === undefined) return
    for (const [address, listener] of this.#listeners) {
      if (listener.host === host) this.#listeners.delete(address)
    }
    for (const { dialer, acceptor } of [...this.#links]) {
      for (const endpoint of [dialer, acceptor]) {
        if (endpoint?.host === host) endpoint.reset(this.#random.between(0, resetDelayMsMax))
      }
    }
    host.isAlive = false
    this.resume(nodeName)
    this.#hosts.delete(nodeName)
  }

  note(what: string, endpoint: SimEndpoint, bytes: Uint8Array = noBytes): void {
    this.#trace.add(this.time.nowMs, endpoint.name, what, bytes)
    this.onTrace?.(`${this.time.nowMs} ${endpoint.name} ${what} ${bytes.length}`)
  }

  survivors(count: number): number {
    return this.#random.int(count + 1)
  }

  isLost(): boolean {
    return this.faults.lose > 0 && this.#random.chance(this.faults.lose)
  }

  repeatDelayMs(): number | null {
    if (this.faults.repeat === 0 || !this.#random.chance(this.faults.repeat)) return null
    return this.#random.between(0, repeatDelayMsMax)
  }

  finished(endpoint: SimEndpoint): void {
    for (const link of this.#links) {
      if (link.dialer !== endpoint && link.acceptor !== endpoint) continue
      if (link.dialer.isClosed && (link.acceptor?.isClosed ?? true)) this.#links.delete(link)
      return
    }
  }

  async #listen(host: SimHost, wanted: string, acceptor: Acceptor): Promise<Listener> {
    const parsed = parseAddress(wanted)
    if (!host.isAlive) throw new AnnealError('internal', `${host.name} has crashed`)
    const port = parsed.port === 0 ? this.#nextPort++ : parsed.port
    const address = formatAddress({ host: parsed.host, port })
    if (this.#listeners.has(address)) {
      const message = `cannot listen on ${address}: the port is in use`
      throw new AnnealError('bad_parameter', message, { address })
    }
    const listener: SimListener = { host, acceptor }
    this.#listeners.set(address, listener)
    this.#owners.set(address, host.name)
    return { address, close: async () => this.#unlisten(address, listener) }
  }

  #unlisten(address: string, listener: SimListener): void {
    if (this.#listeners.get(address) !== listener) return
    this.#listeners.delete(address)
    for (const { dialer, acceptor } of [...this.#links]) {
      if (dialer.remote === address) acceptor?.close('the listener was closed')
    }
  }

  #dial(host: SimHost, dialed: string, channel: Channel, events: ConnectionEvents): Connection {
    const address = this.#resolve(dialed)
    const acceptorNode = this.#owners.get(address) ?? address
    const name = `${host.name}>${acceptorNode}#${++this.#linkCount}`
    const forward = new SimWire(this.time, this.#topology.path(host.name, acceptorNode), (parcel) =>
      this.#arriveAtAcceptor(link, backward, address, parcel)
    )
    const backward = new SimWire(
      this.time,
      this.#topology.path(acceptorNode, host.name),
      (parcel) => dialer.receive(parcel)
    )
    const dialer = new SimEndpoint(this, forward, { name, host, channel, remote: address })
    const wires = [forward, backward]
    const link: Link = { dialer, dialerNode: host.name, acceptorNode, wires, acceptor: null }
    dialer.tell(events)
    if (!host.isAlive) return dialer
    this.#links.add(link)
    this.#connect(dialer, forward, address)
    return dialer
  }

  #resolve(name: string): string {
    const [first, ...others] = this.#aliases.get(name) ?? []
    if (first === undefined) return name
    this.#aliases.set(name, [...others, first])
    return first
  }

  #connect(dialer: SimEndpoint, forward: SimWire, address: string): void {
    try {
      parseAddress(address)
    } catch (thrown) {
      dialer.finish(AnnealError.from(thrown).message)
      return
    }
    forward.send({ kind: 'connect' })
    this.time.schedule(() => {
      if (dialer.isConnecting) dialer.close(`${address} did not answer in time`)
    }, this.#connectTimeoutMs)
  }

  #arriveAtAcceptor(link: Link, backward: SimWire, address: string, parcel: Parcel): void {
    if (parcel.kind !== 'connect') {
      link.acceptor?.receive(parcel)
      return
    }
    const listener = this.#listeners.get(address)
    if (listener === undefined) {
      backward.send({ kind: 'refused' })
      return
    }
    const { dialer } = link
    const acceptor = new SimEndpoint(this, backward, {
      name: `${dialer.name}<`,
      host: listener.host,
      channel: dialer.channel,
      remote: link.dialerNode
    })
    link.acceptor = acceptor
    this.#links.add(link)
    acceptor.join(dialer)
    acceptor.tell(listener.acceptor(acceptor))
    if (acceptor.isClosed) return
    backward.send({ kind: 'accepted' })
    acceptor.opened()
  }

  #linksOf(node: string): Link[] {
    return [...this.#links].filter(
      ({ dialerNode, acceptorNode }) => dialerNode === node || acceptorNode === node
    )
  }

  #linksBetween(a: string, b: string): Link[] {
    return [...this.#links].filter(
      ({ dialerNode, acceptorNode }) =>
        (dialerNode === a && acceptorNode === b) || (dialerNode === b && acceptorNode === a)
    )
  }
}
