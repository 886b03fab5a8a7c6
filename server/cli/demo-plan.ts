import { join } from 'node:path'
import type { Environment } from '../config/environment-layer.ts'
import type { DemoNodePlan } from './demo-node.ts'
import { CliExit, exitCodes } from './exit.ts'

export interface DemoOptions {
  readonly nodes: number
  readonly data?: string
  readonly httpPort: number
  readonly peerPort: number
}

export const defaultHttpPort = 8801
const portMax = 65_535

/** The nodes of a demo with ids n1 and on, ports that count up, and a zone each. Errors: CliExit for impossible ports. */
export function planDemo(
  options: DemoOptions,
  directory: string,
  env: Environment
): readonly DemoNodePlan[] {
  const { nodes, httpPort, peerPort } = options
  if (Math.max(httpPort, peerPort) + nodes - 1 > portMax) {
    throw new CliExit(exitCodes.usage, `${nodes} ports from there on would pass ${portMax}`)
  }
  if (Math.abs(httpPort - peerPort) < nodes) {
    const distance = `at least ${nodes} apart, one port for each node`
    throw new CliExit(exitCodes.usage, `--http-port and --peer-port must be ${distance}`)
  }
  const numbers = Array.from({ length: nodes }, (_, index) => index)
  const seeds = numbers.map((index) => `127.0.0.1:${peerPort + index}`).join(',')
  return numbers.map((index) => {
    const id = `n${index + 1}`
    const zone = `z${index + 1}`
    const data = join(directory, id)
    const flags = {
      id,
      data,
      http: `127.0.0.1:${httpPort + index}`,
      peer: `127.0.0.1:${peerPort + index}`,
      seeds,
      zone
    }
    const named = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])
    const args = ['start', ...named, ...settingsFor(nodes, env)]
    return { id, zone, httpPort: httpPort + index, peerPort: peerPort + index, data, args }
  })
}

function settingsFor(nodes: number, env: Environment): readonly string[] {
  const expected = ['--set', `cluster.expectedNodes=${nodes}`]
  // Three replicas on fewer nodes would never give a quorum that includes all of them.
  const isSmall = nodes < 3 && env['ANNEAL_REPLICATION__N'] === undefined
  return isSmall ? [...expected, '--set', `replication.n=${nodes}`] : expected
}

/** Logs for people, and only what they should know; a user who wants more sets the variables. */
export function demoEnvironment(env: Environment): Environment {
  return {
    ...env,
    ANNEAL_LOG__LEVEL: env['ANNEAL_LOG__LEVEL'] ?? 'warn',
    ANNEAL_LOG__PRETTY: env['ANNEAL_LOG__PRETTY'] ?? 'true'
  }
}
