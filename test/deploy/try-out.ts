import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { ComposeCluster, image, type NodeId, nodeIds } from './compose-cluster.ts'
import { runCommand } from './container-command.ts'

const imageBytesMax = 400_000_000
const healthyMs = 60_000
const healedMs = 60_000
const others = nodeIds.filter((id) => id !== 'n3')

/** Tells what an operator meets, step by step and in this order, with one Compose. */
export function tryOut(command: readonly string[], version: string): void {
  describe(`${command.join(' ')} ${version}`, () => {
    const cluster = new ComposeCluster(command, `anneal-test-${randomBytes(4).toString('hex')}`)
    const data = new KnownData(cluster)

    before(() => cluster.run('build', '--quiet', 'n1'))
    after(() => cluster.remove())

    test('the image is small and runs as a user by number', async () => {
      const format = '{{.Size}} {{.Config.User}}'
      const [size, user] = (await runCommand(['docker', 'image', 'inspect', '-f', format, image]))
        .trim()
        .split(' ')
      assert.ok(Number(size) < imageBytesMax, `${size} bytes`)
      assert.equal(user, '1000:1000')
    })

    test('without the secret that it is to use nothing starts, and the file is named', async () => {
      cluster.secretFile = '/nowhere/cluster-secret'
      const { code, stdout, stderr } = await cluster.try('up', '--detach')
      assert.notEqual(code, 0)
      assert.match(`${stdout}${stderr}`, /\/nowhere\/cluster-secret/)
      await cluster.try('down', '--volumes')
    })

    test('five nodes are healthy within a minute, as they come with the sources', async (t) => {
      cluster.secretFile = null
      await cluster.run('up', '--detach')
      t.diagnostic(`${await cluster.untilHealthy(nodeIds, healthyMs)} s`)
    })

    test('a process in a container may do nothing but its work', async () => {
      const script = `
        const { readFileSync, writeFileSync } = require('node:fs')
        const status = readFileSync('/proc/self/status', 'utf8')
        const field = (name) => status.match(new RegExp(name + ':\\\\s+(\\\\S+)'))[1]
        let refusal = 'none'
        try { writeFileSync('/app/file', '') } catch ({ code }) { refusal = code }
        console.log(process.getuid(), field('CapBnd'), field('NoNewPrivs'), refusal)`
      const [user, capabilities, noNewPrivileges, refusal] = (await cluster.evaluate('n1', script))
        .trim()
        .split(' ')
      assert.equal(user, '1000')
      assert.equal(Number.parseInt(capabilities ?? '', 16), 0)
      assert.equal(noNewPrivileges, '1')
      assert.equal(refusal, 'EROFS')
    })

    test('what is put on one node is read from all', async () => {
      for (let key = 0; key < 10; key++) await data.put('n1', `key-${key}`)
      for (const id of nodeIds) await data.expect(id)
    })

    test('a node that was killed and lost its volume comes back and holds its data again', async () => {
      await runCommand(['docker', 'kill', await cluster.container('n3')])
      await cluster.run('rm', '--force', 'n3')
      await runCommand(['docker', 'volume', 'rm', cluster.volume('n3')])
      await data.put('n1', 'while n3 was dead')
      await cluster.run('up', '--detach', 'n3')
      await cluster.untilHealthy(nodeIds, healthyMs)
      await data.expectHealed()
    })

    test('a node that was cut off is seen as down, and comes back', async () => {
      const container = await cluster.container('n3')
      await runCommand(['docker', 'network', 'disconnect', cluster.network, container])
      await cluster.until('n1', '/admin/status', sees('n3', false), healedMs)
      await data.put('n1', 'while n3 was cut off')
      // Without its alias nobody would find the node by its name again.
      const connect = ['docker', 'network', 'connect', '--alias', 'n3']
      await runCommand([...connect, cluster.network, container])
      for (const id of others) {
        await cluster.until(id, '/admin/status', sees('n3', true), healedMs)
      }
      await data.expectHealed()
      for (const id of nodeIds) await data.expect(id)
    })

    test('a cluster that was stopped in order has its data when it starts again', async () => {
      await cluster.run('stop')
      for (const id of nodeIds) assert.equal(await cluster.inspect(id, '{{.State.ExitCode}}'), '0')
      await cluster.run('start')
      await cluster.untilHealthy(nodeIds, healthyMs)
      for (const id of nodeIds) await data.expect(id)
    })

    test('nothing is left behind', async () => {
      await cluster.remove()
      const filter = `label=com.docker.compose.project=${cluster.project}`
      for (const kind of ['container', 'volume', 'network']) {
        const all = kind === 'container' ? ['--all'] : []
        const list = ['docker', kind, 'ls', '--quiet', ...all, '--filter', filter]
        assert.equal(await runCommand(list), '', kind)
      }
    })
  })
}

/** What was acknowledged, and whether the cluster still has it. */
class KnownData {
  readonly #cluster: ComposeCluster
  readonly #keys: string[] = []

  constructor(cluster: ComposeCluster) {
    this.#cluster = cluster
  }

  async put(id: NodeId, key: string): Promise<void> {
    const answer = await fetch(this.#cluster.url(id, pathOf(key)), { method: 'PUT', body: key })
    assert.equal(answer.status, 204, await answer.text())
    this.#keys.push(key)
  }

  async expect(id: NodeId): Promise<void> {
    for (const key of this.#keys) {
      const answer = await fetch(this.#cluster.url(id, pathOf(key)))
      assert.deepEqual([answer.status, await answer.text()], [200, key], `${key} from ${id}`)
    }
  }

  /** All replicas are to hold every key; a read of all of them repairs what background repair has not come to yet. */
  async expectHealed(): Promise<void> {
    const isWhole = (status: number, body: string) =>
      status === 200 && !/"state":"(?!ok")/.test(body.slice(body.indexOf('"replicas"')))
    for (const key of this.#keys) {
      await this.#cluster.until('n3', `${pathOf(key)}?r=all`, (status) => status === 200, healedMs)
      await this.#cluster.until('n3', `/admin${pathOf(key, 'keys')}`, isWhole, healedMs)
    }
  }
}

function pathOf(key: string, area = 'kv'): string {
  return `/${area}/deploy/${encodeURIComponent(key)}`
}

/** Whether `/admin/status` shows the member as up or as down. */
function sees(member: NodeId, isUp: boolean): (status: number, body: string) => boolean {
  return (status, body) => {
    if (status !== 200) return false
    const { cluster } = JSON.parse(body)
    return cluster.members.some(
      ({ id, up }: { readonly id: string; readonly up: boolean }) => id === member && up === isUp
    )
  }
}
