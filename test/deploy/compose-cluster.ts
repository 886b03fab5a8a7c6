import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type CommandOutcome, runCommand, tryCommand } from './container-command.ts'

const root = join(import.meta.dirname, '../..')
const pollMs = 500
const firstPort = 8801

/** Ours alone on Linux, where all of 127.0.0.0/8 is there: a cluster that listens on 127.0.0.1 is not in the way. */
const publishAddress = process.platform === 'linux' ? '127.77.0.1' : '127.0.0.1'

export const image = 'anneal:test-deploy'
export const nodeIds = ['n1', 'n2', 'n3', 'n4', 'n5'] as const
export type NodeId = (typeof nodeIds)[number]

/** The cluster of docker-compose.yml under a name, a secret and an address of its own, driven as an operator would. */
export class ComposeCluster {
  readonly project: string
  /** Null: as it is in a fresh clone, where nobody has made a secret. */
  secretFile: string | null = null
  readonly #command: readonly string[]

  constructor(command: readonly string[], project: string) {
    this.#command = command
    this.project = project
  }

  get network(): string {
    return `${this.project}_default`
  }

  volume(id: NodeId): string {
    return `${this.project}_${id}`
  }

  /** Runs a compose command for this project to its end, whatever the end. */
  try(...args: readonly string[]): Promise<CommandOutcome> {
    return tryCommand(this.#line(args), this.#environment)
  }

  async run(...args: readonly string[]): Promise<string> {
    return runCommand(this.#line(args), this.#environment)
  }

  async container(id: NodeId): Promise<string> {
    const filters = [`project=${this.project}`, `service=${id}`]
    const options = filters.flatMap((filter) => ['--filter', `label=com.docker.compose.${filter}`])
    const found = await runCommand(['docker', 'ps', '--all', '--quiet', '--no-trunc', ...options])
    return found.trim()
  }

  /** A field of `docker inspect`, by its template. */
  async inspect(id: NodeId, template: string): Promise<string> {
    const container = await this.container(id)
    return (await runCommand(['docker', 'inspect', '--format', template, container])).trim()
  }

  /** Runs JavaScript beside the node, in its container, as its user; answers with what it prints. */
  async evaluate(id: NodeId, script: string): Promise<string> {
    return runCommand(['docker', 'exec', await this.container(id), 'node', '-e', script])
  }

  /** Resolves with the seconds that passed. Errors: Error with the states once the time is up. */
  async untilHealthy(ids: readonly NodeId[], timeoutMs: number): Promise<number> {
    const began = performance.now()
    const healthOf = async (id: NodeId) => this.inspect(id, '{{.State.Health.Status}}')
    for (;;) {
      const states = await Promise.all(ids.map(healthOf))
      const passedMs = performance.now() - began
      if (states.every((state) => state === 'healthy')) return passedMs / 1000
      if (passedMs > timeoutMs) throw new Error(`after ${passedMs} ms: ${ids} are ${states}`)
      await setTimeout(pollMs)
    }
  }

  url(id: NodeId, path: string): string {
    return `http://${publishAddress}:${firstPort + nodeIds.indexOf(id)}${path}`
  }

  /** Asks until the answer is as it should be. Errors: Error with the last answer once the time is up. */
  async until(
    id: NodeId,
    path: string,
    holds: (status: number, body: string) => boolean,
    timeoutMs: number
  ): Promise<void> {
    const began = performance.now()
    for (;;) {
      const answer = await this.#ask(id, path)
      if (holds(answer.status, answer.body)) return
      if (performance.now() - began > timeoutMs) {
        throw new Error(
          `${id} ${path} still answers ${answer.status} ${answer.body.slice(0, 2000)}`
        )
      }
      await setTimeout(pollMs)
    }
  }

  /** Removes everything that carries the name of this project. */
  async remove(): Promise<void> {
    await this.try('down', '--volumes', '--remove-orphans', '--timeout', '10')
  }

  async #ask(
    id: NodeId,
    path: string
  ): Promise<{ readonly status: number; readonly body: string }> {
    try {
      const answer = await fetch(this.url(id, path), { signal: AbortSignal.timeout(5000) })
      return { status: answer.status, body: await answer.text() }
    } catch (thrown) {
      return { status: 0, body: String(thrown) }
    }
  }

  #line(args: readonly string[]): readonly string[] {
    const file = join(root, 'docker-compose.yml')
    return [...this.#command, '--file', file, '--project-name', this.project, ...args]
  }

  get #environment(): Readonly<Record<string, string>> {
    return {
      ANNEAL_IMAGE: image,
      ...(this.secretFile === null ? {} : { CLUSTER_SECRET_FILE: this.secretFile }),
      PUBLISH_ADDRESS: publishAddress
    }
  }
}
