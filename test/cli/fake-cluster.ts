import type { TestContext } from 'node:test'
import { sendJson, sendProblem, startFakeNode } from './fake-node.ts'

export interface FakeCluster {
  readonly urls: readonly string[]
}

export interface FakeMember {
  readonly version?: string
  readonly epoch?: string
  /** Ids of members that this one sees as down. */
  readonly doubts?: readonly string[]
  readonly date?: Date
  /** Answers with an error instead of its status. */
  readonly isBroken?: boolean
  /** Lines of /metrics; without them it has none. */
  readonly metrics?: readonly string[]
  /** What /admin/repair says of background repair, and of what was found equal. */
  readonly repair?: { readonly background: object; readonly summary: object }
  readonly hints?: readonly object[]
  readonly uptimeSeconds?: number
}

/** Nodes that answer as members of one cluster; `absent` are members at addresses where nobody answers. */
export async function startCluster(
  t: TestContext,
  members: readonly FakeMember[],
  absent: readonly string[] = []
): Promise<FakeCluster> {
  const urls: string[] = []
  const describe = (member: FakeMember) => [
    ...urls.map((url, index) => {
      const id = `n${index + 1}`
      const up = member.doubts?.includes(id) !== true
      const http = url.replace('http://', '')
      return { id, http, peer: `p${index}:1`, zone: `z${index}`, region: '', state: 'normal', up }
    }),
    ...absent.map((http) => ({
      id: 'gone',
      http,
      peer: 'x:1',
      zone: '',
      region: '',
      state: 'normal',
      up: true
    })),
    { id: 'old', http: 'x:1', peer: 'x:1', zone: '', region: '', state: 'removed', up: false }
  ]
  for (const [index, member] of members.entries()) {
    const node = await startFakeNode(t, (request, response) => {
      if (member.date !== undefined) response.setHeader('date', member.date.toUTCString())
      if (member.isBroken === true) return sendProblem(response, 500, 'internal')
      if (request.url === '/metrics' && member.metrics !== undefined) {
        return response.end(`${member.metrics.join('\n')}\n`)
      }
      if (request.url === '/admin/repair' && member.repair !== undefined) {
        return sendJson(response, 200, { ...member.repair, partitions: [] })
      }
      if (request.url === '/admin/hints') return sendJson(response, 200, member.hints ?? [])
      if (request.url === '/livez') return sendJson(response, 200, {})
      if (request.url === '/admin/ring') {
        const partitions = [
          { id: 0, replicas: ['n1', 'n2'], pending: [] },
          { id: 1, replicas: ['n2', 'n1'], pending: ['n3'] },
          { id: 2, replicas: ['n1', 'n2'], pending: [] }
        ]
        return sendJson(response, 200, { epoch: 'e1', partitions })
      }
      return sendJson(response, 200, {
        node: {
          id: `n${index + 1}`,
          version: member.version ?? '1.0.0',
          state: 'ready',
          uptimeSeconds: member.uptimeSeconds ?? 61
        },
        cluster: { name: 'c', epoch: member.epoch ?? 'e1', members: describe(member) },
        hints: { count: 4 },
        repair: { state: 'paused', reason: 'by an operator', oldestEqualSeconds: 42, neverEqual: 0 }
      })
    })
    urls.push(node.url)
  }
  return { urls }
}
