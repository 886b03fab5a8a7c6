import { setTimeout as delay } from 'node:timers/promises'
import type { Environment } from '../config/environment-layer.ts'
import { DemoNode, type DemoNodePlan } from './demo-node.ts'
import { CliExit, exitCodes } from './exit.ts'

const readyTimeoutMs = 30_000
const pollMs = 40
/** Longer than a node takes to drain (`http.drainMs`), so that only one that hangs is ended by force. */
const stopGraceMs = 10_000

export interface DemoClusterEvents {
  /** A line that a node wrote, without its end. */
  onLine(node: DemoNode, line: string): void
  /** A node has ended, though nobody here asked for it; `how` says with which code or signal. */
  onExit(node: DemoNode, how: string): void
}

/** The nodes of a demo: they start and stop together, and one by one. */
export class DemoCluster {
  readonly nodes: readonly DemoNode[]
  /** Resolves once no node is running any more. */
  readonly ended: Promise<void>
  readonly #stopping: AbortSignal

  /** Starts nothing yet. `stopping` ends every wait for a node. */
  constructor(
    plans: readonly DemoNodePlan[],
    env: Environment,
    events: DemoClusterEvents,
    stopping: AbortSignal
  ) {
    this.#stopping = stopping
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    this.nodes = plans.map((plan) => {
      const node: DemoNode = new DemoNode(plan, env, {
        onLine: (line) => events.onLine(node, line),
        onExit: (how) => {
          events.onExit(node, how)
          if (this.running.length === 0) resolve()
        }
      })
      return node
    })
  }

  get running(): readonly DemoNode[] {
    return this.nodes.filter((node) => node.isRunning)
  }

  /** Starts these where they are not running. Once the demo is to stop nothing starts any more. */
  start(nodes: readonly DemoNode[] = this.nodes): void {
    if (this.#stopping.aborted) return
    for (const node of nodes) node.start()
  }

  /** Errors: CliExit where there is no such node. */
  node(id: string): DemoNode {
    const found = this.nodes.find(({ plan }) => plan.id === id)
    if (found !== undefined) return found
    const known = this.nodes.map(({ plan }) => plan.id).join(', ')
    throw new CliExit(
      exitCodes.usage,
      `the demo has no node ${JSON.stringify(id)}; it has ${known}`
    )
  }

  /** Resolves when all of these serve, or when the demo is to stop. Errors: CliExit where one ends or takes too long. */
  async untilReady(nodes: readonly DemoNode[]): Promise<void> {
    const waiting = new Set(nodes)
    const isOver = async (): Promise<boolean> => {
      for (const node of waiting) {
        if (await node.isReady()) waiting.delete(node)
        else if (!node.isRunning) {
          const message = `${node.plan.id} ended before it was ready; its messages are above`
          throw new CliExit(exitCodes.failed, message)
        }
      }
      return waiting.size === 0
    }
    const late = () => `${[...waiting].map(({ plan }) => plan.id).join(', ')} did not become ready`
    await this.#until(isOver, late)
  }

  /** Resolves when every running node sees all of them up. */
  async untilAllUp(): Promise<void> {
    const isOver = async (): Promise<boolean> => {
      for (const { client } of this.running) {
        const { cluster } = await client.status()
        const up = cluster.members.filter((member) => member.up)
        if (up.length < this.running.length) return false
      }
      return true
    }
    await this.#until(isOver, () => 'the nodes did not find each other')
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop(stopGraceMs)))
  }

  async #until(isOver: () => Promise<boolean>, late: () => string): Promise<void> {
    const deadline = performance.now() + readyTimeoutMs
    while (!this.#stopping.aborted && !(await isOver())) {
      if (performance.now() > deadline) {
        throw new CliExit(exitCodes.failed, `${late()} within ${readyTimeoutMs / 1000} s`)
      }
      await delay(pollMs)
    }
  }
}
