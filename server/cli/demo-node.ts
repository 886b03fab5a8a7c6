import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { AnnealClient } from '../../client/client.ts'
import type { Environment } from '../config/environment-layer.ts'
import { packageRoot } from './package-root.ts'

export interface DemoNodePlan {
  readonly id: string
  readonly zone: string
  readonly httpPort: number
  readonly peerPort: number
  /** Where the node keeps its data. */
  readonly data: string
  /** The arguments of `anneal` that start this node. */
  readonly args: readonly string[]
}

export interface DemoNodeEvents {
  /** A line that the node wrote, without its end. */
  onLine(line: string): void
  /** The process is gone, though nobody here asked for it; `how` says with which code or signal. */
  onExit(how: string): void
}

interface Running {
  readonly child: ChildProcess
  readonly exited: Promise<void>
}

/** One node of the demo: a real `anneal start` process, and the pipe that makes it end with this one. */
export class DemoNode {
  readonly plan: DemoNodePlan
  readonly #env: Environment
  readonly #events: DemoNodeEvents
  #running: Running | null = null
  #pid = 0
  #isExpectedToEnd = false

  constructor(plan: DemoNodePlan, env: Environment, events: DemoNodeEvents) {
    this.plan = plan
    this.#env = env
    this.#events = events
  }

  get pid(): number {
    return this.#pid
  }

  get isRunning(): boolean {
    return this.#running !== null
  }

  get url(): string {
    return `http://127.0.0.1:${this.plan.httpPort}`
  }

  /** A client for this node and no other. */
  get client(): AnnealClient {
    return new AnnealClient({ nodes: [this.url] })
  }

  /** Starts the process where there is none. */
  start(): void {
    if (this.#running !== null) return
    const child = spawn(
      process.execPath,
      [join(packageRoot, 'bin', 'anneal.js'), ...this.plan.args],
      {
        env: { ...this.#env, ANNEAL_PARENT_PIPE: '1' },
        stdio: ['pipe', 'pipe', 'pipe']
      }
    )
    // The other end may be gone already, which the exit event tells.
    child.stdin.on('error', () => {})
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.#events.onLine(line))
    }
    const { promise: exited, resolve } = Promise.withResolvers<void>()
    const end = (how: string): void => {
      if (this.#running?.child !== child) return
      this.#running = null
      if (!this.#isExpectedToEnd) this.#events.onExit(how)
      resolve()
    }
    child.once('error', (error) => end(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => {
      end(signal === null ? `exit code ${code}` : `killed by ${signal}`)
    })
    this.#isExpectedToEnd = false
    this.#running = { child, exited }
    this.#pid = child.pid ?? 0
  }

  /** Whether the node says that it serves. */
  async isReady(): Promise<boolean> {
    try {
      const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1000) })
      await answer.arrayBuffer()
      return answer.ok
    } catch {
      return false
    }
  }

  /** Asks the process to stop, and ends it when it does not within `graceMs`. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    if (this.#running === null) return
    const { child, exited } = this.#running
    this.#isExpectedToEnd = true
    child.kill('SIGTERM')
    const impatience = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await exited
    clearTimeout(impatience)
  }

  /** Ends the process without a chance to tidy up, as a power failure would. Resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#running === null) return
    const { child, exited } = this.#running
    this.#isExpectedToEnd = true
    child.kill('SIGKILL')
    await exited
  }
}
