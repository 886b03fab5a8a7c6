import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Environment } from '../config/environment-layer.ts'
import { packageRoot } from './package-root.ts'

export interface DemoNodePlan {
  readonly id: string
  readonly zone: string
  readonly httpPort: number
  readonly peerPort: number
  /** The arguments of `anneal` that start this node. */
  readonly args: readonly string[]
}

export interface DemoNodeEvents {
  /** A line that the node wrote, without its end. */
  onLine(line: string): void
  /** The process is gone; `how` says with which code or signal. */
  onExit(how: string): void
}

/** One node of the demo: a real `anneal start` process, and the pipe that makes it end with this one. */
export class DemoNode {
  readonly plan: DemoNodePlan
  readonly exited: Promise<void>
  readonly #child: ChildProcess
  #isRunning = true

  constructor(plan: DemoNodePlan, env: Environment, events: DemoNodeEvents) {
    this.plan = plan
    this.#child = spawn(process.execPath, [join(packageRoot, 'bin', 'anneal.js'), ...plan.args], {
      env: { ...env, ANNEAL_PARENT_PIPE: '1' },
      stdio: ['pipe', 'pipe', 'pipe']
    })
    // The other end may be gone already, which the exit event tells.
    this.#child.stdin?.on('error', () => {})
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null)
        createInterface({ input: stream }).on('line', (line) => events.onLine(line))
    }
    this.exited = new Promise((resolve) => {
      const end = (how: string): void => {
        if (!this.#isRunning) return
        this.#isRunning = false
        events.onExit(how)
        resolve()
      }
      this.#child.once('error', (error) => end(`could not be started: ${error.message}`))
      this.#child.once('exit', (code, signal) => {
        end(signal === null ? `exit code ${code}` : `killed by ${signal}`)
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  get url(): string {
    return `http://127.0.0.1:${this.plan.httpPort}`
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
    if (!this.#isRunning) return
    this.#child.kill('SIGTERM')
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    await this.exited
    clearTimeout(impatience)
  }
}
