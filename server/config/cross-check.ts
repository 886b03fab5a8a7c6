import { formatByteSize } from './byte-size.ts'
import type { ConfigProblem } from './config-error.ts'
import type { Config } from './schema.ts'

/** What is wrong with a configuration although each setting alone is fine. */
export function crossCheck(config: Config): readonly ConfigProblem[] {
  return [
    ...quorumProblems(config),
    ...secretProblems(config),
    ...sizeProblems(config),
    ...timeoutProblems(config)
  ]
}

function problem(setting: string, message: string): ConfigProblem {
  return { setting, source: 'in combination', message }
}

function quorumProblems(config: Config): readonly ConfigProblem[] {
  const { n, regions, r, w } = config.replication
  const counts = regions === null ? [n] : Object.values(regions)
  const replicas = counts.reduce((sum, count) => sum + count, 0)
  const origin = regions === null ? `replication.n is ${n}` : 'the counts of replication.regions'
  return Object.entries({ r, w }).flatMap(([name, quorum]) => {
    if (typeof quorum !== 'number' || quorum <= replicas) return []
    const message = `${quorum} could never be reached: there are ${replicas} replicas (${origin})`
    return [problem(`replication.${name}`, `${message}; lower it, or say quorum`)]
  })
}

/** Without a secret anybody who reaches the peers' address could join, and every client could forge a context. */
function secretProblems({ node, cluster }: Config): readonly ConfigProblem[] {
  if (cluster.secret !== null || cluster.insecure) return []
  const open = [
    ['node.peer', node.peer],
    ['node.http', node.http]
  ].find(([, address]) => !isLoopback(address ?? ''))
  if (open === undefined) return []
  const why = `${open[0]} ${open[1]} is not a loopback address`
  const what = 'set a secret (ANNEAL_CLUSTER_SECRET_FILE), or accept it with cluster.insecure: true'
  return [problem('cluster.secret', `is missing, and ${why}; ${what}`)]
}

function sizeProblems(config: Config): readonly ConfigProblem[] {
  const { maxInFlightBytes, maxValueBytes } = config.limits
  if (maxInFlightBytes >= maxValueBytes) return []
  const largest = `limits.maxValueBytes, ${formatByteSize(maxValueBytes)}`
  const message = `${formatByteSize(maxInFlightBytes)} is less than one value may have (${largest})`
  return [problem('limits.maxInFlightBytes', `${message}; raise it, or lower the other`)]
}

function timeoutProblems(config: Config): readonly ConfigProblem[] {
  const { node, http } = config
  const problems: ConfigProblem[] = []
  if (http.defaultTimeoutMs > http.requestTimeoutMs) {
    const message = `${http.defaultTimeoutMs} is longer than http.requestTimeoutMs`
    problems.push(
      problem(
        'http.defaultTimeoutMs',
        `${message}, ${http.requestTimeoutMs}; lower it, or raise that`
      )
    )
  }
  if (node.http === node.peer && !node.http.endsWith(':0')) {
    const message = `${node.http} is also node.peer; the two are served on addresses of their own`
    problems.push(problem('node.http', message))
  }
  return problems
}

/** Whether an address (`host:port`) can only be reached from this machine. */
export function isLoopback(address: string): boolean {
  const host = address.slice(0, address.lastIndexOf(':')).toLowerCase()
  if (host === 'localhost' || host === '[::1]') return true
  return /^127(\.[0-9]{1,3}){3}$/.test(host)
}
