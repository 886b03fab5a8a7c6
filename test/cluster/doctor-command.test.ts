import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Check } from '../../server/cli/doctor-check.ts'
import { ClusterProcess } from './cluster-process.ts'
import { runAnneal } from './run-anneal.ts'

let cluster: ClusterProcess

before(async () => {
  // A disk that is nearly full is one of which more is to be kept free than there is.
  const set = ['cluster.partitions=32', 'repair.enabled=false', 'limits.minFreeDiskBytes=1TiB']
  cluster = await ClusterProcess.start({ set })
})

after(() => cluster?.stop())

async function examine(): Promise<{ exitCode: unknown; of: (name: string) => Check }> {
  const { exitCode, stdout } = await runAnneal(['doctor', '--json', '--node', cluster.node(1).url])
  const { checks }: { checks: readonly Check[] } = JSON.parse(stdout.toString())
  const of = (name: string) => {
    const check = checks.find((other) => other.name === name)
    assert.ok(check !== undefined, `${name} in ${stdout}`)
    return check
  }
  return { exitCode, of }
}

test('doctor finds in a real cluster that nodes refuse writes, that repair is disabled, and who was killed', async () => {
  const sound = await examine()
  assert.equal(sound.of('reachability').outcome, 'ok')
  assert.equal(sound.of('versions').outcome, 'ok')
  assert.equal(sound.of('disks').outcome, 'fail')
  assert.match(sound.of('disks').finding, /n1 refuses writes.*n2 refuses writes.*n3 refuses/)
  assert.equal(sound.of('repair').outcome, 'warn')
  assert.match(sound.of('repair').finding, /n1.*disabled/)
  assert.equal(sound.of('repair age').outcome, 'warn')
  assert.match(sound.of('repair age').finding, /n1 was never found equal in \d+ partitions/)
  assert.equal(sound.exitCode, 3)

  await cluster.node(3).end('SIGKILL')
  const without = await examine()
  assert.equal(without.of('reachability').outcome, 'fail')
  assert.match(without.of('reachability').finding, /n3 does not answer/)
  assert.equal(without.exitCode, 3)
})
