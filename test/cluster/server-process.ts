import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { spawnAnneal } from './run-anneal.ts'

const pollMs = 20
const lastLinesShown = 20
const startSeconds = 20
const waitSeconds = 10

/** A line of a node's log; one that is no JSON has only `msg`. */
export interface LogLine {
  readonly level?: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface ServerSettings {
  readonly id: string
  readonly data: string
  /** host:port */
  readonly http: string
  readonly peer: string
  readonly seeds: readonly string[]
  /** As after `--set`: `limits.maxInFlightRequests=8`. */
  readonly set?: readonly string[]
}

/** How a process ended: an exit code, or the signal that ended it. */
export type Ending = number | NodeJS.Signals

/** One real `anneal start` process. It can be ended in any way and started again with the same settings. */
export class ServerProcess {
  readonly settings: ServerSettings
  /** Everything that was logged since the process was first started. */
  readonly log: LogLine[] = []
  #child: ChildProcess | null = null
  #ended: Promise<Ending> = Promise.resolve(0)
  #ending: Ending | null = 0

  constructor(settings: ServerSettings) {
    this.settings = settings
  }

  get id(): string {
    return this.settings.id
  }

  get url(): string {
    return `http://${this.settings.http}`
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#ending === null
  }

  /** Resolves when the process that was started last is gone. */
  get ended(): Promise<Ending> {
    return this.#ended
  }

  /** Starts the process and does not wait for anything. `set` adds to the settings, this time only. */
  spawn(set: readonly string[] = []): void {
    const { id, data, http, peer, seeds } = this.settings
    const flags = Object.entries({ id, data, http, peer, seeds: seeds.join(',') })
    const args = flags.flatMap(([name, value]) => [`--${name}`, value])
    const sets = [...(this.settings.set ?? []), ...set].flatMap((setting) => ['--set', setting])
    // With the pipe gone, however this process ended, the node ends too.
    const child = spawnAnneal(['start', ...args, ...sets], { ANNEAL_PARENT_PIPE: '1' })
    this.#child = child
    this.#ending = null
    child.stdin.on('error', () => {})
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.log.push(parseLine(line)))
    }
    this.#ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#ending = signal ?? code ?? -1
        resolve(this.#ending)
      })
    })
  }

  /** Starts the process and resolves once it says that it is ready. */
  async start(set: readonly string[] = []): Promise<void> {
    this.spawn(set)
    await this.waitReady()
  }

  /** Errors: rejects when the process ends instead, or is not ready in 20 seconds; both with the end of its log. */
  async waitReady(): Promise<void> {
    await this.until('is ready', () => this.isReady(), startSeconds)
  }

  async isReady(): Promise<boolean> {
    return (await this.readiness()) === 200
  }

  /** The status of /readyz, 0 where nobody answers. */
  async readiness(): Promise<number> {
    try {
      const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1000) })
      await answer.body?.cancel()
      return answer.status
    } catch {
      return 0
    }
  }

  /** Polls until `condition` holds. Errors: rejects when the process ends first, or time is up. */
  async until(
    what: string,
    condition: () => boolean | Promise<boolean>,
    seconds = waitSeconds
  ): Promise<void> {
    const deadline = performance.now() + seconds * 1000
    while (!(await condition())) {
      if (this.#ending !== null) {
        throw new Error(`${this.id} ended (${this.#ending}) before it ${what}\n${this.lastLines()}`)
      }
      if (performance.now() > deadline) {
        throw new Error(`after ${seconds} s ${this.id} still not ${what}\n${this.lastLines()}`)
      }
      await sleep(pollMs)
    }
  }

  /** Resolves with the first line that matches, from `from` on. */
  async logged(pattern: RegExp, from = 0, seconds = waitSeconds): Promise<LogLine> {
    const find = () => this.log.slice(from).find(({ msg }) => pattern.test(msg))
    await this.until(`logged ${pattern}`, () => find() !== undefined, seconds)
    return find() ?? { msg: '' }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child?.kill(signal)
  }

  /** Ends the process with a signal and resolves with how it went. */
  async end(signal: NodeJS.Signals): Promise<Ending> {
    this.signal(signal)
    return this.#ended
  }

  lastLines(): string {
    const lines = this.log.slice(-lastLinesShown).map((line) => JSON.stringify(line))
    return `the last that ${this.id} logged:\n${lines.join('\n')}`
  }
}

function parseLine(line: string): LogLine {
  try {
    const parsed: unknown = JSON.parse(line)
    if (typeof parsed === 'object' && parsed !== null) return { msg: '', ...parsed }
  } catch {
    // What a failing start says on stderr is for people, and so no JSON.
  }
  return { msg: line }
}
