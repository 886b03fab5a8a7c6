import assert from 'node:assert/strict'
import type { Log } from '../../core/ports.ts'
import { loadConfig } from '../../server/config/load-config.ts'
import type { Config } from '../../server/config/schema.ts'
import type { Node } from '../../server/node.ts'
import { SeededRandom } from './seeded-random.ts'
import { SimDisk } from './sim-disk.ts'
import { SimNetwork } from './sim-network.ts'
import { SimNode } from './sim-node.ts'
import { VirtualTime } from './virtual-time.ts'

const partitionsUsually = 16

export interface SimClusterOptions {
  readonly seed: number | string
  readonly nodes: number
  /** 16 by default. */
  readonly partitions?: number
  /** Further settings, as `--set` takes them. */
  readonly settings?: readonly string[]
  /**
   * Under which names the nodes find each other first, where several may have the same; by default under the addresses
   * that they advertise.
   */
  readonly seedNames?: readonly string[]
  /** Of each node in turn; by default they are all in the same. */
  readonly regions?: readonly string[]
  readonly latencyMs?: { readonly minMs: number; readonly maxMs: number }
  readonly diskMs?: { readonly min: number; readonly max: number }
  readonly clockOffsetMsMax?: number
  readonly driftPpmMax?: number
  readonly log?: Log
}

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A whole cluster in this process, on virtual time, from one seed. */
export class SimCluster {
  readonly time = new VirtualTime()
  readonly random: SeededRandom
  readonly network: SimNetwork
  readonly nodes: readonly SimNode[]
  readonly partitions: number
  /** Called whenever a node has started. */
  onNodeUp: (node: SimNode) => void = () => {}

  constructor(options: SimClusterOptions) {
    this.random = new SeededRandom(options.seed)
    this.partitions = options.partitions ?? partitionsUsually
    const { time, random, partitions } = this
    const { latencyMs, diskMs = { min: 0.1, max: 3 }, log = silent } = options
    const latency = latencyMs === undefined ? {} : { latency: latencyMs }
    this.network = new SimNetwork({ time, random, ...latency })
    const network = this.network
    const draw = random.fork('nodes')
    const { seedNames = [] } = options
    const named = Map.groupBy(seedNames.keys(), (i) => seedNames[i] ?? '')
    for (const [name, indices] of named) network.alias(name, ...indices.map(peerAddress))
    const addresses = Array.from(
      { length: options.nodes },
      (_, i) => seedNames[i] ?? peerAddress(i)
    )
    const seeds = addresses.join(',')
    this.nodes = Array.from({ length: options.nodes }, (_, i) => {
      const disk = new SimDisk({
        image: new Map(),
        random: random.fork(`disk/${i}`),
        writeMs: diskMs
      })
      const offsetMs = Math.floor(draw.between(-1, 1) * (options.clockOffsetMsMax ?? 0))
      const driftPpm = Math.floor(draw.between(-1, 1) * (options.driftPpmMax ?? 0))
      const config = simConfig(i, seeds, { ...options, partitions })
      const onUp = (node: SimNode) => this.onNodeUp(node)
      return new SimNode({ config, time, network, disk, random, driftPpm, offsetMs, log, onUp })
    })
  }

  /** Starts all nodes and lets time pass until all are ready. Answers whether they are. */
  async start(limitMs = 60_000): Promise<boolean> {
    for (const node of this.nodes) void node.start()
    return this.untilReady(limitMs)
  }

  untilReady(limitMs: number): Promise<boolean> {
    return this.time.runUntil(
      () => this.nodes.every(({ node }) => node?.isReady === true && this.#seesAll(node)),
      limitMs
    )
  }

  /** Errors: where the node is not up. */
  nodeAt(index: number): Node {
    const node = this.nodes[index]?.node ?? null
    assert.ok(node, `node ${index} is up`)
    return node
  }

  /** Lets time pass until the promise has settled. */
  async settle<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false
    const done = () => {
      settled = true
    }
    promise.then(done, done)
    await this.time.runUntil(() => settled, limitMs)
    if (!settled) throw new Error(`nothing happened within ${limitMs} virtual ms`)
    return promise
  }

  #seesAll({ peers, id }: { peers: { isUp(id: string): boolean }; id: string }): boolean {
    return this.nodes.every((other) => other.id === id || peers.isUp(other.id))
  }
}

function peerAddress(index: number): string {
  return `10.0.0.${index + 1}:9801`
}

function simConfig(
  index: number,
  seeds: string,
  options: SimClusterOptions & { readonly partitions: number }
): Config {
  const set = [
    `cluster.expectedNodes=${options.nodes}`,
    'cluster.secret=simulated',
    `cluster.partitions=${options.partitions}`,
    ...(options.settings ?? [])
  ]
  const region = options.regions?.[index]
  if (region !== undefined) set.push(`node.region=${region}`)
  const id = `n${index + 1}`
  const flags = { id, peer: peerAddress(index), http: `10.0.0.${index + 1}:8801`, seeds, set }
  return loadConfig({ flags, env: {}, readFile: () => '' })
}
