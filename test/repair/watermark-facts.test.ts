import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DecodeError } from '../../core/errors.ts'
import { makePair } from '../../repair/pair-proofs.ts'
import type { ReportTable } from '../../repair/report-table.ts'
import { WatermarkFacts } from '../../repair/watermark-facts.ts'
import { Watermarks } from '../../repair/watermarks.ts'
import { makeActor } from '../../storage/version-vector.ts'

const partitions = [0, 1, 2]
const actor = makeActor('incarn.1', 1)
const tableOf = (upTo: number): ReportTable =>
  new Map([['incarn.1', { member: 'n1', upTo, lower: new Map() }]])

function node(selfId: string) {
  const watermarks = new Watermarks({
    selfId,
    partitions: partitions.length,
    replicasOf: () => ['n1', 'n2', 'n3'],
    onChange: () => {}
  })
  return { watermarks, facts: new WatermarkFacts(watermarks) }
}

/** Everything that `from` has to tell `to` goes over, and is asked for only where it is not known. */
function tell(
  from: ReturnType<typeof node>,
  to: ReturnType<typeof node>,
  fromId: string,
  toId: string
) {
  const offers = from.facts.offers(partitions, toId)
  const unknown = offers.filter((offer) => !to.facts.knows(offer))
  for (const offer of unknown) {
    const content = from.facts.fact(offer.kind, offer.name)
    assert.ok(content !== null, `${fromId} offers what it has`)
    to.facts.learn(offer, content)
  }
  return { offers, unknown }
}

describe('what an exchange tells', () => {
  test('lets the third replica conclude, and is not sent again', () => {
    const [n1, n3] = [node('n1'), node('n3')]
    n1.watermarks.learnReports(tableOf(9))
    n1.watermarks.noteProof(partitions, 'n2', tableOf(9))
    n3.watermarks.noteProof(partitions, 'n2', tableOf(8))
    const { offers, unknown } = tell(n1, n3, 'n1', 'n3')
    assert.deepEqual(
      unknown.map(({ kind }) => kind),
      ['table', 'proofs']
    )
    const table = offers.find(({ kind }) => kind === 'table')?.name ?? ''
    assert.equal(n3.facts.isReported(table, 0, { actor, counter: 9 }), true)
    assert.equal(n3.facts.isReported(table, 0, { actor, counter: 10 }), false)
    n3.facts.noteProof({ peer: 'n1', partitions, table, watermarks: [] })
    assert.equal(n3.watermarks.atOrBelow(2, { actor, counter: 8 }), true)
    assert.equal(n3.watermarks.atOrBelow(2, { actor, counter: 9 }), false)
    assert.deepEqual(tell(n1, n3, 'n1', 'n3').unknown, [])
  })

  test('is no proof where damage was found since the exchange began', () => {
    const n1 = node('n1')
    n1.watermarks.learnReports(tableOf(9))
    const note = () => {
      const [offer] = n1.facts.offers(partitions, 'n2')
      return { peer: 'n2', partitions, table: offer?.name ?? '', watermarks: [] }
    }
    const begun = note()
    n1.watermarks.forget(1)
    n1.facts.noteProof(begun)
    const pair = makePair('n1', 'n2')
    assert.equal(n1.watermarks.tableOf(pair, 0).size, 1)
    assert.equal(n1.watermarks.tableOf(pair, 1).size, 0)
    n1.facts.noteProof(note())
    assert.equal(n1.watermarks.tableOf(pair, 1).size, 1)
  })

  test('lets an equal partition join the watermark that was named, and only that partition', () => {
    const [n1, n3] = [node('n1'), node('n3')]
    n1.watermarks.noteProof(partitions, 'n2', tableOf(9))
    n1.watermarks.noteProof(partitions, 'n3', tableOf(9))
    n1.watermarks.hearProof({ pair: makePair('n2', 'n3'), table: tableOf(9), partitions })
    const { offers } = tell(n1, n3, 'n1', 'n3')
    assert.equal(n3.watermarks.isBehind(1), true)
    const table = offers.find(({ kind }) => kind === 'table')?.name ?? ''
    n3.facts.noteProof({ peer: 'n1', partitions: [1], table, watermarks: offers })
    assert.equal(n3.watermarks.isBehind(1), false)
    assert.equal(n3.watermarks.atOrBelow(1, { actor, counter: 9 }), true)
    assert.equal(n3.watermarks.isBehind(0), true)
  })

  test('is refused under another name', () => {
    const [n1, n3] = [node('n1'), node('n3')]
    n1.watermarks.learnReports(tableOf(9))
    const [offer] = n1.facts.offers(partitions, 'n3')
    assert.ok(offer !== undefined)
    const content = n1.facts.fact(offer.kind, offer.name) ?? new Uint8Array()
    const forged = { ...offer, name: '0000000000000000' }
    assert.throws(() => n3.facts.learn(forged, content), DecodeError)
  })
})
