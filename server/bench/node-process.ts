import { type ChildProcess, spawn } from 'node:child_process'

const lastWordsCharsMax = 2000
const stopTimeoutMs = 10_000

/** One server process, with the end of what it printed kept for the case that it fails. */
export class NodeProcess {
  readonly id: string
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  #output = ''
  #failure: string | null = null

  /** Runs this program's Node.js with `args`. `environment` is the whole environment of the process. */
  constructor(id: string, args: readonly string[], environment: NodeJS.ProcessEnv) {
    this.id = id
    this.#child = spawn(process.execPath, args, {
      // The pipe closes when this program is gone, however it ended, and the server then stops.
      env: { ...environment, ANNEAL_PARENT_PIPE: '1' },
      stdio: ['pipe', 'pipe', 'pipe']
    })
    const exit = Promise.withResolvers<void>()
    this.#exited = exit.promise
    this.#child.once('error', (error) => {
      this.#failure = `could not be started: ${error.message}`
      exit.resolve()
    })
    this.#child.once('exit', (code, signal) => {
      this.#failure = `ended with ${signal ?? `exit code ${code}`}`
      exit.resolve()
    })
    // Writing to nobody is no error worth ending for: the exit is reported anyway.
    this.#child.stdin?.on('error', () => {})
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-lastWordsCharsMax)
      })
    }
  }

  /** 0 when the process could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The end of what the process printed, as the end of a sentence. */
  lastWords(): string {
    const output = this.#output.trim()
    return output === '' ? 'it printed nothing' : `the last it printed:\n${output}`
  }

  /** Errors: throws when the process has ended. */
  assertRunning(): void {
    if (this.#failure === null) return
    throw new Error(`node ${this.id} ${this.#failure}; ${this.lastWords()}`)
  }

  /** Asks the process to end, waits 10 seconds, then kills it. Resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#failure === null) this.#child.kill('SIGTERM')
    const force = setTimeout(() => this.kill(), stopTimeoutMs)
    await this.#exited
    clearTimeout(force)
  }

  kill(): void {
    if (this.#failure === null) this.#child.kill('SIGKILL')
  }
}
