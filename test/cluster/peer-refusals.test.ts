import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ClusterProcess, freePorts, membersOf } from './cluster-process.ts'
import { describe, get, put } from './kv-client.ts'
import { repairFrom } from './repair-calls.ts'
import { type LogLine, ServerProcess } from './server-process.ts'

let cluster: ClusterProcess

before(async () => {
  const set = ['replication.n=2', 'cluster.secret=one']
  cluster = await ClusterProcess.start({ nodes: 2, set })
})

after(() => cluster?.stop())

const secrets = ['cluster.secret=one']

interface Intruder {
  readonly what: string
  readonly id?: string
  readonly set: readonly string[]
  readonly code: string
  /** What the refusal says, on both sides. */
  readonly says: RegExp
}

const intruders: readonly Intruder[] = [
  {
    what: 'another secret',
    set: ['cluster.secret=two'],
    code: 'secret',
    says: /secret of node .* is not the secret of node .*cluster\.secret/
  },
  {
    what: 'another cluster name',
    set: [...secrets, 'cluster.name=other'],
    code: 'cluster_name',
    says: /"other".*"anneal".*cluster\.name/
  },
  {
    what: 'another number of partitions',
    set: [...secrets, 'cluster.partitions=64'],
    code: 'partitions',
    says: /cluster\.partitions 64.*256/
  },
  {
    what: 'the id of a node that is there',
    id: 'n2',
    set: secrets,
    code: 'same_id',
    says: /two nodes with the id n2/
  }
]

function refusals(log: readonly LogLine[], code: string, from: number): readonly LogLine[] {
  return log.slice(from).filter((line) => line.msg === 'peer refused' && line['code'] === code)
}

for (const { what, id = 'intruder', set, code, says } of intruders) {
  test(`a node with ${what} is refused, and both sides say why`, async () => {
    const [http = 0, peer = 0] = await freePorts(2)
    const { nodes } = cluster
    const from = nodes.map((node) => node.log.length)
    const membersBefore = await Promise.all(nodes.map(membersOf))
    const intruder = new ServerProcess({
      id,
      data: join(cluster.directory, `${code}-intruder`),
      http: `127.0.0.1:${http}`,
      peer: `127.0.0.1:${peer}`,
      seeds: cluster.seeds,
      set
    })
    try {
      intruder.spawn()
      const said = () => refusals(intruder.log, code, 0)
      await intruder.until('said that it was refused', () => said().length > 0)
      for (const line of said()) assert.match(String(line['detail']), says)
      for (const [index, node] of nodes.entries()) {
        const heard = () => refusals(node.log, code, from[index] ?? 0)
        await node.until(`said that it refused ${what}`, () => heard().length > 0)
        for (const line of heard()) assert.match(String(line['detail']), says)
      }
      // It becomes a cluster of its own, which answers for itself and takes nothing from the others.
      await intruder.until('gave up waiting', async () => (await membersOf(intruder)).length > 0)
      assert.deepEqual(idsOf(await membersOf(intruder)), [id])
      for (const [index, node] of nodes.entries()) {
        assert.deepEqual(await membersOf(node), membersBefore[index])
        assert.ok(await node.isReady())
        const perMinute = refusals(node.log, code, from[index] ?? 0).length
        assert.ok(perMinute <= 2, `${node.id} logged ${perMinute} refusals of one node`)
      }
      const path = `/kv/refusals/${code}`
      const written = await put(cluster.node(1).url, path, what)
      assert.equal(written.status, 204, describe(written))
      assert.equal((await get(cluster.node(2).url, path)).body.toString(), what)
    } finally {
      await intruder.end('SIGKILL')
    }
  })
}

test('a node that lost its directory comes back under its id once the old process is gone', async () => {
  const node = cluster.node(2)
  // What both are proven to hold an empty disk must not deny, so that it answers no reads until it has it again.
  assert.equal((await repairFrom(node)).state, 'done')
  await node.end('SIGKILL')
  const data = join(cluster.directory, 'new-disk')
  const replacement = new ServerProcess({ ...node.settings, data })
  try {
    await replacement.start()
    await replacement.until('sees n1 up', async () =>
      (await membersOf(replacement)).every(({ up }) => up)
    )
    const readAll = () => get(replacement.url, '/kv/refusals/secret?r=all')
    let read = await readAll()
    await replacement.until('gives the value back', async () => {
      assert.notEqual(read.status, 404, describe(read))
      if (read.status === 503) read = await readAll()
      return read.status !== 503
    })
    assert.equal(read.body.toString(), 'another secret', describe(read))
  } finally {
    await replacement.end('SIGKILL')
  }
})

function idsOf(members: readonly { readonly id: string }[]): readonly string[] {
  return members.map(({ id }) => id)
}
