import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePorts } from './free-ports.ts'
import { NodeProcess } from './node-process.ts'

export type Durability = 'fsync' | 'os'

export interface ClusterOptions {
  /** The JavaScript file that is run as `node PROGRAM start …`, one process a node. */
  readonly program: string
  readonly nodes: number
  readonly durability: Durability
  /** A directory on the disk that is to be measured; the data goes into a new directory inside and is removed again. */
  readonly directory: string
  /** Settings that the benchmark depends on; they are stronger than those of the caller's environment. */
  readonly environment?: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** Real server processes on loopback that live as long as the benchmark. */
export interface Cluster {
  readonly urls: readonly string[]
  readonly pids: readonly number[]
  /** True when the data is held in memory, where a sync costs nothing. */
  readonly inMemory: boolean
  /** Errors: throws when a node has ended, with the last that it said. */
  assertRunning(): void
  /** Ends one node in good order; the others notice. `index` counts as in `urls`. */
  stopNode(index: number): Promise<void>
  /** Starts a node that was stopped, over the data that it left or over nothing. Resolves when it is ready. */
  startNode(index: number, data: 'kept' | 'removed'): Promise<void>
  /** Ends every process, by force if it must, and removes the data. */
  stop(): Promise<void>
}

const readyTimeoutMs = 30_000
const readyPollMs = 50
const tmpfsType = 0x01021994

/**
 * Starts the nodes and waits until each of them is ready. No process is left behind: not when this fails, not when the
 * program exits without `stop`, and not even when it is killed, since the nodes watch the pipe that it holds.
 * Errors: rejects when a node ends or is not ready in 30 seconds, with the last that it said.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  await mkdir(options.directory, { recursive: true })
  const data = await mkdtemp(join(options.directory, 'anneal-bench-'))
  let nodes: readonly NodeProcess[] = []
  // The last resort, where nothing can be waited for any more.
  const onExit = (): void => {
    for (const node of nodes) node.kill()
    rmSync(data, { recursive: true, force: true })
  }
  process.on('exit', onExit)
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()))
    await rm(data, { recursive: true, force: true })
    process.off('exit', onExit)
  }
  try {
    const addresses = (await findFreePorts(2 * options.nodes)).map((port) => `127.0.0.1:${port}`)
    const peers = addresses.slice(options.nodes)
    const members = peers.map((peer, index) => {
      const id = `n${index + 1}`
      return { id, data: join(data, id), http: `${addresses[index]}`, peer, seeds: peers.join(',') }
    })
    nodes = members.map((member) => startNode(options, member))
    const urls = members.map((member) => `http://${member.http}`)
    for (const [index, node] of nodes.entries()) {
      await waitUntilReady(node, `${urls[index]}`, options.signal)
    }
    return {
      urls,
      get pids() {
        return nodes.map((node) => node.pid)
      },
      inMemory: (await statfs(data)).type === tmpfsType,
      assertRunning: () => {
        for (const node of nodes) node.assertRunning()
      },
      stopNode: async (index) => {
        await nodes[index]?.stop()
      },
      startNode: async (index, kept) => {
        const member = members[index]
        if (member === undefined) throw new RangeError(`there is no node number ${index}`)
        if (kept === 'removed') await rm(member.data, { recursive: true, force: true })
        const node = startNode(options, member)
        nodes = nodes.with(index, node)
        await waitUntilReady(node, `${urls[index]}`, options.signal)
      },
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The flags of `anneal start`, by their names. */
interface StartFlags {
  readonly id: string
  readonly data: string
  readonly http: string
  readonly peer: string
  readonly seeds: string
}

function startNode(options: ClusterOptions, flags: StartFlags): NodeProcess {
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
  return new NodeProcess(flags.id, [options.program, 'start', ...args], {
    // The caller's own ANNEAL_ settings are passed on: that is how the cost of a setting is measured.
    ANNEAL_LOG__LEVEL: 'warn',
    ...process.env,
    ...options.environment,
    ANNEAL_CLUSTER__EXPECTED_NODES: String(options.nodes),
    ANNEAL_DURABILITY: options.durability
  })
}

async function waitUntilReady(node: NodeProcess, url: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs
  while (!(await isReady(url, signal))) {
    signal.throwIfAborted()
    node.assertRunning()
    if (performance.now() > deadline) {
      throw new Error(`node ${node.id} is not ready after 30 seconds; ${node.lastWords()}`)
    }
    await sleep(readyPollMs)
  }
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  const timely = AbortSignal.any([signal, AbortSignal.timeout(1000)])
  const response = await fetch(`${url}/readyz`, { signal: timely }).catch(() => null)
  await response?.body?.cancel()
  return response?.ok === true
}
