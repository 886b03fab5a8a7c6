import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { proveEqual } from '../../server/bench/repair-proof.ts'
import type { Tree } from '../../server/cli/read-trees.ts'

interface Replica {
  readonly trees: readonly Tree[]
  readonly state: string
  readonly digest: string | null
}

const tree: Tree = { partition: 0, keys: 7, root: 'aa', verified: true }
const good: Replica = { trees: [tree, { ...tree, partition: 1 }], state: 'ok', digest: 'd1' }
const sample = [{ bucket: 'b', key: 'k' }]
const { signal } = new AbortController()

/** Proves over nodes that hold these; every node must have been asked to recompute, and for itself alone. */
async function prove(...replicas: Replica[]) {
  const asked: string[] = []
  const servers = await Promise.all(replicas.map((replica) => serve(replica, asked)))
  try {
    const urls = servers.map(
      (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    )
    const proof = await proveEqual(urls, sample, signal)
    for (const path of ['/admin/trees?verify=true', '/admin/keys/b/k?local=true']) {
      assert.equal(asked.filter((url) => url === path).length, replicas.length)
    }
    return proof
  } finally {
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
  }
}

async function serve({ trees, state, digest }: Replica, asked: string[]): Promise<Server> {
  const server = createServer((request, response) => {
    const url = `${request.url}`
    asked.push(url)
    const replicas = [{ node: 'n1', state, digest, versions: [] }]
    const key = { partition: 0, leaf: 0, replicas }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(url.startsWith('/admin/trees') ? trees : key))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

test('equal roots and equal digests everywhere are a proof', async () => {
  const proof = await prove(good, good, good)
  assert.deepEqual(proof, { equal: true, partitions: 2, rows: 14, sampledKeys: 1, findings: [] })
})

test('a root, a count of keys, a digest or a key that is not the same is found', async () => {
  const cases: [Replica, RegExp][] = [
    [{ ...good, trees: [tree, { ...tree, partition: 1, root: 'bb' }] }, /partition 1 differ/],
    [
      {
        ...good,
        trees: [
          { ...tree, keys: 8 },
          { ...tree, partition: 1 }
        ]
      },
      /partition 0 differ/
    ],
    [{ ...good, digest: 'd2' }, /of k the nodes hold: ok d1, ok d2/],
    [{ ...good, state: 'missing', digest: null }, /of k the nodes hold: ok d1, missing/]
  ]
  for (const [other, finding] of cases) {
    const proof = await prove(good, other)
    assert.equal(proof.equal, false)
    assert.equal(proof.findings.length, 1)
    assert.match(proof.findings[0] ?? '', finding)
  }
})

test('a key that all have lost is no proof', async () => {
  const lost = { ...good, state: 'missing', digest: null }
  assert.equal((await prove(lost, lost)).equal, false)
})

test('a tree that was not what its rows add up to is no proof, even if the roots are the same', async () => {
  const { verified: _, ...unverified } = tree
  const damaged = { ...good, trees: [{ ...unverified, verified: false, leaves: [3, 9] }] }
  const proof = await prove(damaged, damaged)
  assert.equal(proof.equal, false)
  assert.match(proof.findings[0] ?? '', /leaves 3, 9 of partition 0/)
})
