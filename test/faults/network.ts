import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { runCommand } from './command.ts'

const switchProgram = fileURLToPath(new URL('./ethernet_switch.py', import.meta.url))
const prefix = '10.77.0'
const httpPort = 8801
const peerPort = 9801
/** The port of the suite itself, after which come those of the nodes, by their numbers. */
const suitePort = 0
const suiteHost = 254

/** A way from one node to another, in this direction only; nodes are counted from 1. */
export type Path = readonly [from: number, to: number]

export interface NetworkRules {
  readonly cut?: readonly Path[]
  readonly slow?: readonly Path[]
  /** What is slow is late by this, give or take the jitter, and lost with this probability. */
  readonly delayMs?: number
  readonly jitterMs?: number
  readonly loss?: number
}

/**
 * A network namespace for each node, with one address, behind a switch that this process controls. It exists within
 * the network namespace of the suite and ends with it; clients reach the nodes from there and are never cut off.
 */
export class Network {
  readonly #switch: ChildProcess
  readonly #lines: Interface
  /** Rejects when the switch has ended, which nobody may wait beyond. */
  readonly #ended: Promise<never>

  private constructor(child: ChildProcess, lines: Interface) {
    this.#switch = child
    this.#lines = lines
    this.#ended = once(child, 'close').then(() => {
      throw new Error('the switch has ended')
    })
    this.#ended.catch(() => {})
  }

  static async create(nodes: number): Promise<Network> {
    const numbers = Array.from({ length: nodes }, (_, index) => index + 1)
    const devices = [suitePort, ...numbers].map(deviceOf)
    const child = spawn('python3', [switchProgram, ...devices], {
      stdio: ['pipe', 'pipe', 'inherit']
    })
    const network = new Network(child, createInterface({ input: child.stdout }))
    await network.#confirmed()
    await configure([], deviceOf(suitePort), suiteHost)
    for (const number of numbers) {
      const name = namespaceOf(number)
      await runCommand('ip', 'netns', 'add', name)
      await runCommand('ip', 'link', 'set', deviceOf(number), 'netns', name)
      await configure(['-n', name], deviceOf(number), number)
      await runCommand('ip', '-n', name, 'link', 'set', 'lo', 'up')
    }
    return network
  }

  /** Replaces all rules, and resolves once they hold. */
  async set(rules: NetworkRules): Promise<void> {
    this.#switch.stdin?.write(`${JSON.stringify(rules)}\n`)
    await this.#confirmed()
  }

  async remove(nodes: number): Promise<void> {
    this.#switch.stdin?.end()
    await this.#ended.catch(() => {})
    for (let number = 1; number <= nodes; number++) {
      await runCommand('ip', 'netns', 'delete', namespaceOf(number))
    }
  }

  async #confirmed(): Promise<void> {
    await Promise.race([once(this.#lines, 'line'), this.#ended])
  }
}

/** The command that starts a process in the namespace of this node. */
export function launcherIn(node: number): string {
  return `ip netns exec ${namespaceOf(node)}`
}

export function addressesIn(node: number): { readonly http: string; readonly peer: string } {
  return { http: `${prefix}.${node}:${httpPort}`, peer: `${prefix}.${node}:${peerPort}` }
}

async function configure(where: readonly string[], device: string, host: number): Promise<void> {
  await runCommand('ip', ...where, 'address', 'add', `${prefix}.${host}/24`, 'dev', device)
  await runCommand('ip', ...where, 'link', 'set', device, 'up')
}

function namespaceOf(node: number): string {
  return `anneal-n${node}`
}

function deviceOf(port: number): string {
  return `anneal${port}`
}
