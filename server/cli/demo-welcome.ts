import { divergedKeys, keysHelp } from './demo-keys.ts'
import type { DemoNode } from './demo-node.ts'
import { defaultHttpPort } from './demo-plan.ts'
import { count, table } from './table.ts'

export interface DemoPlace {
  readonly directory: string
  readonly isTemporary: boolean
  /** How long the start took, for people. */
  readonly seconds: string
  readonly httpPort: number
  /** Whether single keys are read from the terminal. */
  readonly hasKeys: boolean
}

/** What is said once all nodes serve: where they are, and what to do next. */
export function welcome(nodes: readonly DemoNode[], place: DemoPlace): string {
  const { directory, isTemporary, seconds, httpPort, hasKeys } = place
  const [first, second = first] = nodes
  const rows = nodes.map((node) => [
    `  ${node.plan.id}`,
    node.url,
    `127.0.0.1:${node.plan.peerPort}`,
    String(node.pid)
  ])
  const path = 'kv/demo/greeting'
  const port = httpPort === defaultHttpPort ? '' : ` --http-port ${httpPort}`
  return [
    `Anneal runs on this machine: ${count(nodes.length, 'node')}, ready after ${seconds} s.\n\n`,
    table(['  node', 'HTTP', 'peers', 'pid'], rows),
    '\nWrite on one node, read on another:\n\n',
    `  curl -X PUT -H 'Content-Type: text/plain' --data 'hello' ${first?.url}/${path}\n`,
    `  curl ${second?.url}/${path}\n`,
    '\nMake the replicas differ, and see them heal (from another terminal):\n\n',
    `  npx anneal demo diverge --keys ${divergedKeys}${port}\n`,
    `  npx anneal demo repair${port}\n`,
    `\nDashboard: ${first?.url}/\n`,
    `Data:      ${directory}${isTemporary ? ' (goes away with the demo)' : ''}\n`,
    ...(hasKeys ? [`Keys:      ${keysHelp}\n`] : []),
    'Stop:      Ctrl-C\n'
  ].join('')
}
