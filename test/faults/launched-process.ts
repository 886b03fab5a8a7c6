import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ServerProcess, type ServerSettings } from '../cluster/server-process.ts'

const freezeMsMax = 10_000
const lethal: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM']

/**
 * A server process that may be started by way of another command, which must become it with `exec`: in a network
 * namespace, or with a library loaded first. Its pid is then the server's, and signals reach the server. It remembers
 * the times when it ended though nobody had told it to.
 */
export class LaunchedProcess extends ServerProcess {
  /** Whether the fault of the moment allows it to end by itself. */
  mayEnd = false
  /** For people, each with the end of the log. */
  readonly unexpectedEndings: string[] = []
  readonly #launcher: string | null
  #wasTold = false

  /** `command` is everything before the path of Node.js, as a shell would take it; null: nothing. */
  constructor(settings: ServerSettings, command: string | null) {
    super(settings)
    this.#launcher = command === null ? null : writeLauncher(`${settings.data}.launch`, command)
  }

  override spawn(set: readonly string[] = []): void {
    this.#wasTold = false
    this.#launch(set)
    void this.ended.then((ending) => {
      if (this.#wasTold || this.mayEnd) return
      this.unexpectedEndings.push(`${this.id} ended by itself (${ending})\n${this.lastLines()}`)
    })
  }

  override signal(signal: NodeJS.Signals): void {
    if (lethal.includes(signal)) this.#wasTold = true
    super.signal(signal)
  }

  /** Stops it, until SIGCONT, at a moment at which none of its threads waits for the kernel. */
  async freeze(): Promise<void> {
    this.signal('SIGSTOP')
    const deadline = performance.now() + freezeMsMax
    while (!this.#isStopped()) {
      if (performance.now() > deadline) throw new Error(`${this.id} does not stop`)
      await sleep(1)
    }
  }

  // The state is what follows the name of the thread, which is in brackets and may have any characters.
  #isStopped(): boolean {
    const threads = `/proc/${this.pid}/task`
    return readdirSync(threads).every((thread) =>
      /\) T [^)]*$/.test(readFileSync(`${threads}/${thread}/stat`, 'utf8'))
    )
  }

  #launch(set: readonly string[]): void {
    if (this.#launcher === null) {
      super.spawn(set)
      return
    }
    // A server process always runs the Node.js that runs this; nothing else starts a process in between.
    const { execPath } = process
    process.execPath = this.#launcher
    try {
      super.spawn(set)
    } finally {
      process.execPath = execPath
    }
  }
}

function writeLauncher(path: string, command: string): string {
  writeFileSync(path, `#!/bin/sh\nexec ${command} '${process.execPath}' "$@"\n`)
  chmodSync(path, 0o755)
  return path
}
