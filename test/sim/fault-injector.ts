import type { LifeParameters } from './life-parameters.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { SimCluster } from './sim-cluster.ts'
import type { DiskImage } from './sim-disk.ts'
import type { SimNode } from './sim-node.ts'

/** One thing that went wrong, for the report of a life. */
export interface FaultEvent {
  readonly atMs: number
  readonly text: string
}

const supervisedChecks = 30

/** Makes things go wrong at the rates of a life, until it is told to stop; then it puts everything right again. */
export class FaultInjector {
  readonly events: FaultEvent[] = []
  readonly #cluster: SimCluster
  readonly #parameters: LifeParameters
  readonly #random: SeededRandom
  readonly #victim: SimNode
  #oldImage: DiskImage | null = null
  #stopped = false
  /** A node has lost something that it had confirmed. */
  forgotten = false
  /** How often a row was changed behind the back of its node. */
  tampered = 0

  constructor(cluster: SimCluster, parameters: LifeParameters) {
    this.#cluster = cluster
    this.#parameters = parameters
    this.#random = cluster.random.fork('faults')
    this.#victim = this.#random.pick(cluster.nodes)
  }

  /** The only node whose disk forgets. */
  get victim(): string {
    return this.#victim.id
  }

  start(): void {
    const { faults, loseProbability, repeatProbability, pausesPerMinute } = this.#parameters
    this.#cluster.network.faults.lose = loseProbability
    this.#cluster.network.faults.repeat = repeatProbability
    this.#repeat(faults.crash, () => this.#crash(this.#anyNode()))
    this.#repeat(faults.restart, () => this.#restart(this.#anyNode()))
    this.#repeat(faults.cut, () => this.#cut())
    this.#repeat(faults.split, () => this.#split())
    this.#repeat(faults.clog, () => this.#clog())
    this.#repeat(faults.clockJump, () => this.#jumpClock())
    this.#repeat(faults.diskError, () => this.#breakDisk())
    this.#repeat(faults.diskFull, () => this.#fillDisk())
    this.#repeat(faults.lossy, () => this.#forget())
    this.#repeat(pausesPerMinute, () => this.#pause(this.#anyNode()))
  }

  /** The end of all faults: everything is put right, and every node that is down begins a new life. */
  heal(): void {
    this.#stopped = true
    const { network, nodes } = this.#cluster
    network.faults.lose = 0
    network.faults.repeat = 0
    network.healAll()
    for (const a of nodes) {
      a.resume()
      a.disk.heal()
      for (const b of nodes) if (a !== b) network.setLatency(a.id, b.id, this.#latency(1))
    }
    this.#supervise(supervisedChecks)
  }

  /** Starts what is down: now, and what an error from before is still to end. */
  #supervise(checks: number): void {
    for (const node of this.#cluster.nodes) void node.start()
    if (checks > 0) this.#after(1000, 1000, () => this.#supervise(checks - 1))
  }

  #repeat(perMinute: number, act: () => void): void {
    if (perMinute === 0) return
    const meanMs = 60_000 / perMinute
    const again = () => {
      this.#cluster.time.schedule(
        () => {
          if (this.#stopped) return
          act()
          again()
        },
        -Math.log(1 - this.#random.fraction()) * meanMs
      )
    }
    again()
  }

  #after(minMs: number, maxMs: number, act: () => void): void {
    this.#cluster.time.schedule(act, this.#random.between(minMs, maxMs))
  }

  #crash(node: SimNode): void {
    if (node.state === 'down') return
    this.#note(`${node.id} crashes`)
    this.#mayLoseUnsynced()
    node.crash()
    this.#startLater(node)
  }

  #startLater(node: SimNode): void {
    this.#after(50, 20_000, () => void node.start())
  }

  #pause(node: SimNode): void {
    if (node.state !== 'up' || node.isPaused) return
    this.#note(`${node.id} is paused`)
    const { lives } = node
    node.pause()
    this.#after(200, 20_000, () => {
      if (node.lives === lives) node.resume()
    })
  }

  #restart(node: SimNode): void {
    if (node.state !== 'up' || node.isPaused) return
    this.#note(`${node.id} stops in order`)
    void node.stop().then(() => this.#startLater(node))
  }

  #cut(): void {
    const a = this.#anyNode()
    const b = this.#anyNode()
    if (a === b) return
    const { network } = this.#cluster
    const oneWay = this.#random.chance(0.4)
    this.#note(oneWay ? `nothing gets from ${a.id} to ${b.id}` : `${a.id} and ${b.id} are cut off`)
    if (oneWay) network.cutOneWay(a.id, b.id)
    else network.cut(a.id, b.id)
    this.#after(200, 30_000, () => network.heal(a.id, b.id))
  }

  /** Two halves; now and then with one node that both still reach. */
  #split(): void {
    const { network, nodes } = this.#cluster
    const bridge = this.#random.chance(0.3) ? this.#anyNode() : null
    const left = nodes.filter((node) => node !== bridge && this.#random.chance(0.5))
    const right = nodes.filter((node) => node !== bridge && !left.includes(node))
    this.#note(
      `split into ${names(left)} and ${names(right)}${bridge ? `, ${bridge.id} between` : ''}`
    )
    const pairs = left.flatMap((a) => right.map((b) => [a.id, b.id] as const))
    for (const [a, b] of pairs) network.cut(a, b)
    this.#after(500, 30_000, () => {
      for (const [a, b] of pairs) network.heal(a, b)
    })
  }

  #clog(): void {
    const a = this.#anyNode()
    const b = this.#anyNode()
    if (a === b) return
    this.#note(`the way between ${a.id} and ${b.id} is clogged`)
    this.#cluster.network.setLatency(a.id, b.id, this.#latency(50))
    this.#after(500, 20_000, () => this.#cluster.network.setLatency(a.id, b.id, this.#latency(1)))
  }

  #latency(factor: number) {
    const maxMs = this.#parameters.latencyMaxMs * factor
    return { minMs: Math.min(0.2, maxMs / 10), maxMs }
  }

  #jumpClock(): void {
    const node = this.#anyNode()
    const byMs = Math.floor(this.#random.between(-120_000, 120_000))
    this.#note(`the clock of ${node.id} jumps by ${byMs} ms`)
    node.jumpClock(byMs)
  }

  #breakDisk(): void {
    const node = this.#anyNode()
    if (node.state !== 'up') return
    this.#note(`the next batch of ${node.id} fails`)
    this.#mayLoseUnsynced()
    node.disk.failNextBatch()
    this.#restartWhenDown(node)
  }

  #fillDisk(): void {
    const node = this.#anyNode()
    if (node.state !== 'up') return
    this.#note(`the disk of ${node.id} is full`)
    this.#mayLoseUnsynced()
    node.disk.setFull(true)
    this.#after(1000, 20_000, () => {
      node.disk.setFull(false)
      this.#restartWhenDown(node)
    })
  }

  // With `os`, acknowledged means handed to the operating system, and that is what a crash loses.
  #mayLoseUnsynced(): void {
    if (this.#parameters.durability === 'os') this.forgotten = true
  }

  /** A node that ends by itself is started again, as a supervisor would. */
  #restartWhenDown(node: SimNode): void {
    this.#after(1000, 5000, () => {
      if (this.#stopped) return
      if (node.state === 'down') void node.start()
      else if (node.state === 'up') this.#restartWhenDown(node)
    })
  }

  /** The victim loses something that it had promised to keep. */
  #forget(): void {
    const victim = this.#victim
    switch (this.#parameters.lossyFault) {
      case 'none':
        return
      case 'forget':
        return this.#tamper('forget', 'is forgotten')
      case 'flip':
        return this.#tamper('flip', 'is damaged')
      case 'rot':
        return this.#tamper('old', 'is what it was before')
      case 'lostDisk':
        this.#note(`${victim.id} loses its disk`)
        this.forgotten = true
        victim.crash()
        victim.replaceDisk(new Map())
        return this.#startLater(victim)
      case 'oldDisk':
        return this.#oldDisk(victim, 'an old copy of its disk', (image) =>
          victim.replaceDisk(image)
        )
      case 'salvage':
        return this.#oldDisk(victim, 'what could be read of its disk', (image) => {
          this.tampered++
          victim.salvageDisk(image)
        })
    }
  }

  #tamper(how: 'forget' | 'flip' | 'old', what: string): void {
    this.#note(`a row of ${this.#victim.id} ${what}`)
    this.forgotten = true
    this.tampered++
    void this.#victim.disk.tamper(how)
  }

  #oldDisk(victim: SimNode, what: string, replace: (image: DiskImage) => void): void {
    if (this.#oldImage === null) {
      this.#note(`a copy is made of the disk of ${victim.id}`)
      this.#oldImage = victim.disk.copy()
      return
    }
    this.#note(`${victim.id} comes back with ${what}`)
    this.forgotten = true
    victim.crash()
    replace(this.#oldImage)
    this.#oldImage = null
    this.#startLater(victim)
  }

  #anyNode(): SimNode {
    return this.#random.pick(this.#cluster.nodes)
  }

  #note(text: string): void {
    this.events.push({ atMs: this.#cluster.time.nowMs, text })
  }
}

function names(nodes: readonly SimNode[]): string {
  return nodes.length === 0 ? 'nobody' : nodes.map(({ id }) => id).join(' ')
}
