import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts, membersOf } from '../cluster/cluster-process.ts'
import { withHealingSettings } from './healing.ts'
import { LaunchedProcess } from './launched-process.ts'

export interface FaultClusterOptions {
  readonly directory: string
  readonly nodes?: number
  /** For every node, as after `--set`. */
  readonly set?: readonly string[]
  /** What one node is started with besides; nodes are counted from 1. */
  readonly setOf?: (node: number) => readonly string[]
  /** The command that a node is started by; null: none. */
  readonly launcherOf?: (node: number) => string | null
  /** host:port of HTTP and of the peers; by default free ports on loopback. */
  readonly addressesOf?: (node: number) => { readonly http: string; readonly peer: string }
}

const readySeconds = 120

/** Real server processes under faults. Data directories are those of the options, so that a scenario can mount there. */
export class FaultCluster {
  readonly nodes: readonly LaunchedProcess[]
  readonly directory: string

  private constructor(nodes: readonly LaunchedProcess[], directory: string) {
    this.nodes = nodes
    this.directory = directory
  }

  /** Nothing runs yet. */
  static async plan(options: FaultClusterOptions): Promise<FaultCluster> {
    const { directory, nodes: count = 3, set = [], setOf, launcherOf, addressesOf } = options
    const ports = await freePorts(count * 2)
    mkdirSync(directory, { recursive: true })
    const loopback = (node: number) => ({
      http: `127.0.0.1:${ports[2 * node - 2]}`,
      peer: `127.0.0.1:${ports[2 * node - 1]}`
    })
    const numbers = Array.from({ length: count }, (_, index) => index + 1)
    const addresses = numbers.map(addressesOf ?? loopback)
    const seeds = addresses.map(({ peer }) => peer)
    const nodes = addresses.map((address, index) => {
      const number = index + 1
      const settings = {
        id: `n${number}`,
        data: join(directory, `n${number}`, 'data'),
        ...address,
        seeds,
        set: withHealingSettings([
          `cluster.expectedNodes=${count}`,
          ...set,
          ...(setOf?.(number) ?? [])
        ])
      }
      mkdirSync(join(directory, settings.id), { recursive: true })
      return new LaunchedProcess(settings, launcherOf?.(number) ?? null)
    })
    return new FaultCluster(nodes, directory)
  }

  /** The node with this position, counted from 1 as in its id. */
  node(number: number): LaunchedProcess {
    const node = this.nodes[number - 1]
    if (node === undefined) throw new RangeError(`there is no node ${number}`)
    return node
  }

  /** Starts what does not run, and waits as `ready` does. */
  async start(): Promise<void> {
    for (const node of this.nodes) if (!node.isRunning) node.spawn()
    await this.ready()
  }

  /**
   * Resolves once every node is ready and sees all others up, with the milliseconds that this took. Errors: rejects when
   * one ends instead, or it takes longer than two minutes; both with the end of its log.
   */
  async ready(): Promise<number> {
    const sinceMs = performance.now()
    const wanted = this.nodes.map(({ id }) => id).join()
    const seesAll = async (node: LaunchedProcess): Promise<boolean> => {
      if (!(await node.isReady())) return false
      const up = (await membersOf(node)).filter((member) => member.up).map(({ id }) => id)
      return up.sort().join() === wanted
    }
    for (const node of this.nodes) {
      await node.until(`ready and seeing ${wanted} up`, () => seesAll(node), readySeconds)
    }
    return performance.now() - sinceMs
  }

  /** Ends every process at once, also those that are stopped. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end('SIGKILL')))
  }

  /** As `stop`, for when there is no time to wait; removes the data as well. */
  abandon(): void {
    for (const node of this.nodes) node.signal('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }
}
