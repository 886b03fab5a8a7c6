import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { PeerFacts } from '../../repair/reconcile/peer-facts.ts'
import type { FactOffer } from '../../repair/reconcile/range-side.ts'
import { Pair } from './reconcile-pair.ts'
import { MemorySide } from './reconcile-side.ts'

const name = (n: number) => n.toString(16).padStart(16, '0')
const content = Buffer.from('w')

describe('what a peer knows', () => {
  test('is learned once, for all partitions that it was offered for', () => {
    const side = new MemorySide()
    const facts = new PeerFacts(side, 'n2')
    const offer = (n: number, partitions: readonly number[]): FactOffer => ({
      kind: 'watermark',
      name: name(n),
      partitions
    })
    facts.offered([offer(1, [0, 1]), offer(2, [2]), offer(1, [5]), offer(1, [])])
    const told = { kind: 'watermark', name: name(1), content } as const
    facts.learn([told, told, { ...told, name: name(3) }, { ...told, kind: 'table' }])
    assert.deepEqual(side.learned, [offer(1, [0, 1, 5])])
    assert.deepEqual(
      [0, 2, 3, 5].map((partition) => facts.watermarkOf(partition)),
      [name(1), name(2), null, name(1)]
    )
  })

  test('stands for the partitions that the peer did not speak of again', () => {
    const facts = new PeerFacts(new MemorySide(), 'n2')
    facts.offered([{ kind: 'watermark', name: name(1), partitions: [0, 1, 2] }])
    facts.offered([{ kind: 'watermark', name: name(2), partitions: [1] }])
    assert.deepEqual(
      [0, 1, 2].map((partition) => facts.watermarkOf(partition)),
      [name(1), name(2), name(1)]
    )
  })

  test('is found by its name, however much there is', () => {
    let looks = 0
    const offers = Array.from({ length: 1000 }, (_, n) => ({
      kind: 'watermark' as const,
      partitions: [n],
      get name() {
        looks++
        return name(n)
      }
    }))
    const side = new MemorySide()
    const facts = new PeerFacts(side, 'n2')
    facts.offered(offers)
    facts.learn(offers.map((_, n) => ({ kind: 'watermark', name: name(n), content })))
    assert.equal(side.learned.length, 1000)
    assert.ok(looks <= 10_000, `${looks} looks at names`)
  })

  test('is learned once by the side that began, too', async () => {
    const ours = new MemorySide()
    const theirs = new MemorySide()
    theirs.facts.set(`watermark ${name(1)}`, content)
    theirs.offers = (partitions) =>
      partitions.map((partition) => ({
        kind: 'watermark',
        name: name(1),
        partitions: [partition]
      }))
    const partitions = Array.from({ length: 16 }, (_, p) => p)
    await new Pair(ours, theirs).run({ partitions })
    assert.deepEqual(ours.learned, [{ kind: 'watermark', name: name(1), partitions }])
  })
})
