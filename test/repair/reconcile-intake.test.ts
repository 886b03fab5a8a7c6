import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RangeSide, ShippedRow } from '../../repair/reconcile/range-side.ts'
import { partitionOf } from '../../ring/token.ts'
import { Pair } from './reconcile-pair.ts'
import { MemorySide, sideWith } from './reconcile-side.ts'

const partitions = Array.from({ length: 16 }, (_, p) => p)
const rows = 2000

/** Takes in rows as an empty replica does that needs time for them: one message for each partition. */
class SlowSide extends MemorySide {
  /** The partitions of the rows, in the order in which they came. */
  readonly taken: number[] = []
  work: (partition: number) => Promise<void> = () => Promise.resolve()
  othersAreAsked: (partition: number) => Promise<void> | null = () => null

  override async receive(
    arriving: readonly ShippedRow[],
    peer: string,
    isWanted: () => boolean
  ): ReturnType<RangeSide['receive']> {
    const [first] = arriving
    assert.ok(first)
    const partition = partitionOf(first.key.token, this.partitionCount)
    this.taken.push(partition)
    await this.work(partition)
    const outcomes = await super.receive(arriving, peer, isWanted)
    const asked = this.othersAreAsked(partition)
    return asked === null ? outcomes : outcomes.map((outcome) => asked.then(() => outcome))
  }
}

describe('messages with rows', () => {
  test('are taken in one after the other, while the next ones are asked for', async () => {
    const ours = new SlowSide()
    const theirs = sideWith(rows)
    const pair = new Pair(ours, theirs)
    let requests = 0
    let asksMeanwhile = 0
    pair.onRequest = () => requests++
    ours.work = async () => {
      const before = requests
      await new Promise<void>((resolve) => pair.time.set(resolve, 5))
      asksMeanwhile += requests - before
    }
    const { end, reason } = await pair.run({ partitions })
    assert.equal(end, 'done', reason)
    const runs = ours.taken.filter((partition, i) => partition !== ours.taken[i - 1])
    assert.equal(runs.length, partitions.length, `not one after the other: ${runs.join(' ')}`)
    assert.ok(asksMeanwhile > 0)
    assert.deepEqual(ours.roots(), theirs.roots())
  })

  test('do not wait for one about whose rows others are asked', async () => {
    const ours = new SlowSide()
    const theirs = sideWith(rows)
    const pair = new Pair(ours, theirs)
    const answered = Promise.withResolvers<void>()
    let asked = -1
    ours.othersAreAsked = (partition) => {
      if (asked < 0) asked = partition
      return partition === asked ? answered.promise : null
    }
    const othersCame = Promise.withResolvers<void>()
    ours.work = async () => {
      // The message that was asked for behind it waits for it.
      if (new Set(ours.taken).size === partitions.length - 1) othersCame.resolve()
    }
    const running = pair.start({ partitions })
    await pair.time.until(othersCame.promise)
    const ofAsked = ours.taken.filter((partition) => partition === asked).length
    assert.equal(ofAsked, 1, 'the rest of its message waits')
    answered.resolve()
    const { end, reason } = await pair.time.until(running.ended)
    assert.equal(end, 'done', reason)
    assert.deepEqual(ours.roots(), theirs.roots())
  })
})
