import type { RepairRunStatus } from '../../client/repair-types.ts'
import type { DemoCluster } from './demo-cluster.ts'
import { diverge } from './demo-divergence.ts'
import type { DemoNode } from './demo-node.ts'
import { repairDemo } from './demo-repair.ts'
import { CliExit, exitCodes } from './exit.ts'

/** What a running demo can be asked for. A node that is not named is chosen. */
export type DemoCommand =
  | { readonly kind: 'kill'; readonly node: string | null }
  | { readonly kind: 'revive'; readonly node: string | null }
  | { readonly kind: 'diverge'; readonly node: string | null; readonly keys: number }
  | { readonly kind: 'repair' }

/** What came of it, for `--json`. */
export type DemoResult =
  | { readonly killed: string }
  | { readonly revived: readonly string[] }
  | {
      readonly diverged: string
      readonly keysMissing: number
      readonly partitionsDiffering: number
    }
  | { readonly repairs: readonly RepairRunStatus[]; readonly partitionsDiffering: number }

/** What a newcomer does to a running demo to see it heal; one thing at a time. */
export class DemoActions {
  readonly #cluster: DemoCluster
  /** Nodes that were made to differ, and not repaired since. */
  readonly #diverged = new Set<DemoNode>()
  #busyWith: string | null = null

  constructor(cluster: DemoCluster) {
    this.#cluster = cluster
  }

  /** `say` is given a line at a time while it goes on. Errors: CliExit where it cannot be done. */
  async run(command: DemoCommand, say: (line: string) => void): Promise<DemoResult> {
    if (this.#busyWith !== null) {
      const message = `the demo is still busy with ${this.#busyWith}; wait until it is done`
      throw new CliExit(exitCodes.failed, message)
    }
    this.#busyWith = command.kind
    try {
      return await this.#carryOut(command, say)
    } finally {
      this.#busyWith = null
    }
  }

  #carryOut(command: DemoCommand, say: (line: string) => void): Promise<DemoResult> {
    switch (command.kind) {
      case 'kill':
        return this.#kill(command.node, say)
      case 'revive':
        return this.#revive(command.node, say)
      case 'diverge':
        return this.#diverge(command.node, command.keys, say)
      case 'repair':
        return this.#repair(say)
    }
  }

  async #kill(id: string | null, say: (line: string) => void): Promise<DemoResult> {
    const node = this.#runningNode(id)
    if (this.#cluster.running.length === 1) {
      const message = `${node.plan.id} is the last node that runs; Ctrl-C stops the demo`
      throw new CliExit(exitCodes.failed, message)
    }
    await node.kill()
    const left = this.#cluster.running.map(({ plan }) => plan.id).join(', ')
    say(`${node.plan.id} is killed (SIGKILL); ${left} go on`)
    return { killed: node.plan.id }
  }

  async #revive(id: string | null, say: (line: string) => void): Promise<DemoResult> {
    const nodes =
      id === null
        ? this.#cluster.nodes.filter((node) => !node.isRunning)
        : [this.#cluster.node(id)].filter((node) => !node.isRunning)
    const ids = nodes.map(({ plan }) => plan.id)
    if (nodes.length === 0) {
      say(`${id ?? 'every node'} is running`)
      return { revived: [] }
    }
    this.#cluster.start(nodes)
    await this.#cluster.untilReady(nodes)
    await this.#cluster.untilAllUp()
    say(`${ids.join(', ')} serves again, and gets what it has missed from the others`)
    return { revived: ids }
  }

  async #diverge(id: string | null, keys: number, say: (line: string) => void) {
    const down = this.#cluster.nodes.find((node) => !node.isRunning)
    if (down !== undefined) {
      const message = `all nodes must run for this; first: anneal demo revive ${down.plan.id}`
      throw new CliExit(exitCodes.failed, message)
    }
    if (this.#cluster.nodes.length === 1) {
      throw new CliExit(exitCodes.failed, 'one node alone has nobody to differ from')
    }
    const node = this.#runningNode(id)
    const { keysMissing, partitionsDiffering } = await diverge(this.#cluster, node, keys, say)
    this.#diverged.add(node)
    return { diverged: node.plan.id, keysMissing, partitionsDiffering }
  }

  /** One node compares with all others, so that those that were made to differ are enough. */
  async #repair(say: (line: string) => void): Promise<DemoResult> {
    const asked = this.#diverged.size === 0 ? this.#cluster.running : [...this.#diverged]
    const { repairs, partitionsDiffering } = await repairDemo(this.#cluster, asked, say)
    if (partitionsDiffering === 0) this.#diverged.clear()
    return { repairs, partitionsDiffering }
  }

  /** The last one that runs unless one is named: the first is the one whose address people copy. */
  #runningNode(id: string | null): DemoNode {
    const node = id === null ? this.#cluster.running.at(-1) : this.#cluster.node(id)
    if (node?.isRunning === true) return node
    throw new CliExit(exitCodes.failed, `${id ?? 'no node'} is not running; see anneal demo revive`)
  }
}
