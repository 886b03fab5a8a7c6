import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerProcess } from './server-process.ts'

export interface ClusterSettings {
  readonly nodes?: number
  /** For every node, as after `--set`. */
  readonly set?: readonly string[]
}

/** Several `anneal start` processes on this machine that form one cluster, and the directory with their data. */
export class ClusterProcess {
  readonly nodes: readonly ServerProcess[]
  readonly directory: string
  readonly seeds: readonly string[]

  private constructor(nodes: readonly ServerProcess[], directory: string) {
    this.nodes = nodes
    this.directory = directory
    this.seeds = nodes.map(({ settings }) => settings.peer)
  }

  /** Resolves once every node is ready and sees all others up. `stop` must be called, whatever happens. */
  static async start({ nodes = 3, set = [] }: ClusterSettings = {}): Promise<ClusterProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'anneal-cluster-'))
    const addresses = (await freePorts(nodes * 2)).map((port) => `127.0.0.1:${port}`)
    const peers = addresses.slice(nodes)
    const processes = peers.map((peer, index) => {
      const id = `n${index + 1}`
      const http = addresses[index] ?? ''
      const expected = `cluster.expectedNodes=${nodes}`
      return new ServerProcess({
        id,
        data: join(directory, id),
        http,
        peer,
        seeds: peers,
        set: [expected, ...set]
      })
    })
    const cluster = new ClusterProcess(processes, directory)
    try {
      for (const node of processes) node.spawn()
      await cluster.settled()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  get urls(): readonly string[] {
    return this.nodes.map(({ url }) => url)
  }

  /** The node with this position, counted from 1 as in its id. */
  node(number: number): ServerProcess {
    const node = this.nodes[number - 1]
    if (node === undefined) throw new RangeError(`there is no node ${number}`)
    return node
  }

  others(node: ServerProcess): readonly ServerProcess[] {
    return this.nodes.filter((other) => other !== node)
  }

  /** Resolves once every running node is ready and sees every other running node up, and the rest down. */
  async settled(): Promise<void> {
    const running = this.nodes.filter((node) => node.isRunning)
    const wanted = running.map(({ id }) => id).sort()
    await Promise.all(running.map((node) => node.waitReady()))
    const sees = async (node: ServerProcess) => {
      const up = (await membersOf(node)).filter((member) => member.up).map(({ id }) => id)
      return up.sort().join() === wanted.join()
    }
    for (const node of running) await node.until(`sees ${wanted} up`, () => sees(node))
  }

  /** Ends every process, at once, and removes the data. */
  async stop(): Promise<void> {
    await Promise.all(
      this.nodes.map((node) => {
        node.signal('SIGCONT')
        return node.end('SIGKILL')
      })
    )
    await rm(this.directory, { recursive: true, force: true })
  }
}

export interface MemberSeen {
  readonly id: string
  readonly state: string
  readonly up: boolean
}

/** The members as this node sees them. */
export async function membersOf(node: ServerProcess): Promise<readonly MemberSeen[]> {
  const answer = await fetch(`${node.url}/admin/status`)
  const status = (await answer.json()) as { cluster: { members: MemberSeen[] } }
  return status.cluster.members
}

const lowestPort = 12_000
const portsTriedFrom = 18_000

/**
 * Ports of 127.0.0.1 that nobody listens on. They lie below those that the system hands out by itself: it would give
 * the port of a node that is down to some client's connection, and the node could not come back.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  while (found.size < count) {
    const port = lowestPort + Math.floor(Math.random() * portsTriedFrom)
    if (!found.has(port) && (await isFree(port))) found.add(port)
  }
  return [...found]
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}
