import { AnnealError } from '../../core/errors.ts'
import type { Log } from '../../core/ports.ts'
import type { Config } from '../../server/config/schema.ts'
import { createNode } from '../../server/create-node.ts'
import type { Node } from '../../server/node.ts'
import { NodeTime } from './node-time.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { DiskImage, SimDisk } from './sim-disk.ts'
import type { SimNetwork } from './sim-network.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface SimNodeOptions {
  readonly config: Config
  readonly time: VirtualTime
  readonly network: SimNetwork
  readonly disk: SimDisk
  readonly random: SeededRandom
  readonly driftPpm: number
  readonly offsetMs: number
  readonly log: Log
  readonly onUp: (node: SimNode) => void
}

export type SimNodeState = 'down' | 'starting' | 'up' | 'stopping'

/** One node of a simulated cluster through all its lives: the very node that production runs, on simulated ports. */
export class SimNode {
  readonly id: string
  readonly disk: SimDisk
  readonly #options: SimNodeOptions
  #node: Node | null = null
  #nodeTime: NodeTime | null = null
  #state: SimNodeState = 'down'
  #lives = 0
  #offsetMs: number
  #pausedMs = Number.NEGATIVE_INFINITY
  /** Errors that ended a life by themselves. */
  readonly failures: AnnealError[] = []

  constructor(options: SimNodeOptions) {
    this.#options = options
    this.id = options.config.node.id
    this.disk = options.disk
    this.#offsetMs = options.offsetMs
  }

  get state(): SimNodeState {
    return this.#state
  }

  /** Goes up with every life that begins, and with every one that ends. */
  get lives(): number {
    return this.#lives
  }

  /** The node, where it is up. */
  get node(): Node | null {
    return this.#state === 'up' ? this.#node : null
  }

  /** Begins a life; whoever waits for it lets virtual time run meanwhile. */
  async start(): Promise<void> {
    if (this.#state !== 'down') return
    const life = ++this.#lives
    this.#state = 'starting'
    const { config, time, network, random, driftPpm, log } = this.#options
    const nodeTime = new NodeTime(time, { driftPpm, offsetMs: this.#offsetMs })
    this.#nodeTime = nodeTime
    const transport = network.transportFor(this.id)
    const lifeRandom = random.fork(`${this.id}/${life}`)
    const { isSalvaged } = this.disk
    const database = await this.disk.open(nodeTime.timers)
    try {
      const node = await createNode({
        clock: nodeTime.clock,
        timers: nodeTime.timers,
        random: lifeRandom,
        transport,
        database,
        isSalvaged,
        log,
        config,
        release: 'simulated',
        readDisk: async () => ({ freeBytes: this.disk.isFull ? 0 : 1e12, totalBytes: 2e12 }),
        eventLoopDelayMs: () => 0,
        onFailure: (error) => {
          this.failures.push(error)
          if (life === this.#lives) this.crash()
        }
      })
      if (life !== this.#lives) return
      this.#node = node
      await node.start()
      if (life !== this.#lives) return
      this.#state = 'up'
      this.#options.onUp(this)
    } catch (thrown) {
      // A disk that fails while the node starts ends this life, as it would end the process.
      this.failures.push(AnnealError.from(thrown))
      if (life === this.#lives) this.crash()
    }
  }

  /** Ends the life at once: nothing that it still had to do is done. */
  crash(): void {
    if (this.#state === 'down') return
    this.#end()
    this.disk.crash()
  }

  get isPaused(): boolean {
    return this.#state !== 'down' && this.#options.network.isPaused(this.id)
  }

  /** When the process was last stopped for a while; in the infinite past where it never was. */
  get pausedMs(): number {
    return this.#pausedMs
  }

  /** Stops the process for a while, as a debugger does, or a machine that swaps: its clocks go on, and it does nothing. */
  pause(): void {
    if (this.#state !== 'up' || this.isPaused) return
    this.#pausedMs = this.#options.time.nowMs
    this.#nodeTime?.pause()
    this.#options.network.pause(this.id)
  }

  /** Lets the process go on: first with its timers, as Node.js does, then with what peers have sent. */
  resume(): void {
    if (!this.isPaused) return
    this.#nodeTime?.resume()
    this.#options.network.resume(this.id)
  }

  /** Ends the life in order. */
  async stop(): Promise<void> {
    const node = this.node
    if (node === null || this.isPaused) return
    const life = this.#lives
    this.#state = 'stopping'
    try {
      await node.stop()
    } catch (thrown) {
      this.failures.push(AnnealError.from(thrown))
    }
    if (life !== this.#lives || this.#state !== 'stopping') return
    this.#end()
  }

  replaceDisk(image: DiskImage): void {
    if (this.#state !== 'down') throw new Error('a disk is replaced while the node is down')
    this.disk.replace(image)
  }

  salvageDisk(older: DiskImage): void {
    if (this.#state !== 'down') throw new Error('a disk is salvaged while the node is down')
    this.disk.salvage(older)
  }

  jumpClock(byMs: number): void {
    this.#offsetMs += byMs
    this.#nodeTime?.jump(byMs)
  }

  #end(): void {
    this.#lives++
    this.#state = 'down'
    this.#nodeTime?.stop()
    this.#nodeTime = null
    this.#node = null
    this.#options.network.crash(this.id)
  }
}
