import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { nameOfWatermark, type WatermarkVector } from '../../repair/watermark-vector.ts'
import { GhostCheck, type HeardAnswer } from '../../server/coordinator/ghost-check.ts'
import { formatDot, incarnationOf } from '../../storage/version-vector.ts'
import { keyOf, memoryDatabase, openStore, put, writeOf } from '../storage/open-store.ts'
import { consult, openReplica } from './open-replica.ts'

const key = keyOf('k')

/** n1 coordinates; n3 holds a version that n2 lacks, whose watermark has this name here or is not known at all. */
async function denied({ isNamed }: { isNamed: boolean }) {
  const replica = await openReplica(await memoryDatabase())
  const elsewhere = await openStore(await memoryDatabase())
  const { versions } = put(elsewhere.store, key, writeOf('shown')).result
  const [version] = versions
  assert.ok(version !== undefined)
  const watermark: WatermarkVector = new Map([[incarnationOf(version.dot.actor), 1 << 20]])
  if (isNamed) replica.watermarks.hear(0, watermark)
  const replicas = ['n2', 'n3', 'n4']
  const ghosts = new GhostCheck({
    selfId: 'n1',
    partitions: 1,
    watermarks: replica.watermarks,
    reception: replica.reception,
    consultation: consult(replicas, replica.answers, replica.asked),
    replicasOf: () => replicas
  })
  const answers: HeardAnswer[] = [
    { replica: 'n2', versions: [], watermark: Buffer.from(nameOfWatermark(watermark), 'hex') },
    { replica: 'n3', versions, watermark: Buffer.alloc(0) }
  ]
  const conclude = async () => {
    const found = ghosts.find(answers, 'siblings')
    return found === null ? null : (await ghosts.judge(key, found)).get(formatDot(version.dot))
  }
  return { replica, watermark, conclude }
}

describe('a version that one replica shows and another lacks', () => {
  test('is shown where it is above what the other can have let go', async () => {
    const { replica, conclude } = await denied({ isNamed: false })
    replica.answers.set('n2', { opinion: 'unknown', floor: new Map() })
    assert.equal(await conclude(), 'take')
    assert.deepEqual(replica.asked, ['n2'], 'only the one whose watermark is not known')
  })

  for (const isNamed of [true, false]) {
    const which = isNamed ? 'known' : 'not known'
    test(`is not shown while not all can be asked, with a watermark that is ${which} here`, async () => {
      const { replica, watermark, conclude } = await denied({ isNamed })
      replica.answers.set('n2', { opinion: 'lacks', floor: watermark })
      assert.equal(await conclude(), 'refuse')
    })

    test(`is hidden where all others lack it, with a watermark that is ${which} here`, async () => {
      const { replica, watermark, conclude } = await denied({ isNamed })
      for (const id of ['n2', 'n4']) replica.answers.set(id, { opinion: 'lacks', floor: watermark })
      assert.equal(await conclude(), 'quarantine')
    })

    test(`is shown where a third has it, with a watermark that is ${which} here`, async () => {
      const { replica, watermark, conclude } = await denied({ isNamed })
      replica.answers.set('n2', { opinion: 'lacks', floor: watermark })
      replica.answers.set('n4', { opinion: 'has', floor: watermark })
      assert.equal(await conclude(), 'take')
    })
  }

  test('is not shown where the one with the unknown watermark is gone', async () => {
    const { replica, conclude } = await denied({ isNamed: false })
    replica.answers.set('n4', { opinion: 'unknown', floor: new Map() })
    assert.equal(await conclude(), 'refuse')
  })
})
