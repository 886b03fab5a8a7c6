import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DecodeError } from '../../core/errors.ts'
import {
  ended,
  type IncarnationReport,
  mergeTables,
  type ReportTable,
  reportedAt,
  reportOnRemoved,
  reportOnSelf,
  type Unsettled,
  vectorAt
} from '../../repair/report-table.ts'
import { nameOfTable, packTable, unpackTable } from '../../repair/report-table-codec.ts'
import { lawRuns } from '../core/law-runs.ts'

const partitions = 4
const incarnations = ['incarn.1', 'incarn.2', 'incarn.3']

const reports: fc.Arbitrary<IncarnationReport> = fc
  .record({
    member: fc.constantFrom('n1', 'n2'),
    upTo: fc.oneof(fc.nat(9), fc.constant(ended)),
    lower: fc.uniqueArray(fc.tuple(fc.nat(partitions - 1), fc.nat(9)), { selector: ([p]) => p })
  })
  .map(({ member, upTo, lower }) => ({
    member,
    upTo,
    lower: new Map(lower.filter(([, counter]) => counter < upTo))
  }))

const tables: fc.Arbitrary<ReportTable> = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...incarnations), reports), { selector: ([name]) => name })
  .map((entries) => new Map(entries))

const numberAt = (table: ReportTable, incarnation: string, partition: number): number => {
  const report = table.get(incarnation)
  return report === undefined ? 0 : reportedAt(report, partition)
}

describe('tables of reports', () => {
  test('merging is commutative, associative and idempotent, down to the bytes', () => {
    fc.assert(
      fc.property(tables, tables, tables, (a, b, c) => {
        const same = (x: ReportTable, y: ReportTable) =>
          assert.deepEqual(packTable(x), packTable(y))
        same(mergeTables(a, b), mergeTables(b, a))
        same(mergeTables(mergeTables(a, b), c), mergeTables(a, mergeTables(b, c)))
        assert.equal(mergeTables(a, a), a)
        const merged = mergeTables(a, b)
        assert.equal(mergeTables(merged, b), merged)
      }),
      lawRuns(300)
    )
  })

  test('of two numbers the greater stands, partition by partition', () => {
    fc.assert(
      fc.property(tables, tables, (a, b) => {
        const merged = mergeTables(a, b)
        for (const incarnation of incarnations) {
          for (let partition = 0; partition < partitions; partition++) {
            const expected = Math.max(
              numberAt(a, incarnation, partition),
              numberAt(b, incarnation, partition)
            )
            assert.equal(numberAt(merged, incarnation, partition), expected)
            assert.equal(vectorAt(merged, partition).get(incarnation) ?? 0, expected)
          }
        }
      }),
      lawRuns(300)
    )
  })

  test('bytes come back as the table that they were, and no other bytes are taken', () => {
    fc.assert(
      fc.property(tables, fc.uint8Array({ maxLength: 60 }), (table, noise) => {
        const decoded = unpackTable(packTable(table))
        assert.deepEqual(packTable(decoded), packTable(table))
        assert.equal(nameOfTable(decoded), nameOfTable(table))
        try {
          assert.deepEqual(packTable(unpackTable(noise)), Buffer.from(noise))
        } catch (thrown) {
          assert.ok(thrown instanceof DecodeError)
        }
      }),
      lawRuns(300)
    )
  })

  test('partitions that no report lowers share one vector', () => {
    const lowered = new Map([['incarn.1', { member: 'n1', upTo: 9, lower: new Map([[2, 3]]) }]])
    assert.equal(vectorAt(lowered, 0), vectorAt(lowered, 1))
    assert.deepEqual([...vectorAt(lowered, 2)], [['incarn.1', 3]])
  })
})

describe('a report on oneself', () => {
  const own = { member: 'n1', present: 'incarn.3', counter: 7, ended: ['incarn.1'] }
  const all: Unsettled = { hinted: () => new Map(), settledUpTo: (_, upTo) => upTo }
  const known: ReportTable = new Map([['incarn.2', { member: 'n1', upTo: 3, lower: new Map() }]])

  test('stays below what hints hold, of ended incarnations too', () => {
    const hinted = () => new Map([[2, new Map([['incarn.1', 5]])]])
    const table = reportOnSelf(own, { ...all, hinted }, new Map())
    assert.equal(numberAt(table, 'incarn.1', 2), 4)
    assert.equal(numberAt(table, 'incarn.1', 0), ended)
    assert.equal(numberAt(table, 'incarn.3', 2), 7)
  })

  test('ends what others know of it, but its own memory has lost', () => {
    const table = reportOnSelf(own, all, known)
    assert.equal(numberAt(table, 'incarn.2', 0), ended)
  })

  test('claims nothing before the own hints are known', () => {
    const table = reportOnSelf(own, { ...all, hinted: () => null }, new Map())
    for (const incarnation of ['incarn.1', 'incarn.3']) {
      assert.equal(numberAt(table, incarnation, 0), 0)
    }
  })

  test('claims no more than what has found its places, of each incarnation', () => {
    const settledUpTo = (incarnation: string, upTo: number) =>
      incarnation === 'incarn.1' ? 0 : Math.min(upTo, 5)
    const table = mergeTables(known, reportOnSelf(own, { ...all, settledUpTo }, known))
    assert.equal(numberAt(table, 'incarn.1', 0), 0)
    assert.equal(numberAt(table, 'incarn.2', 0), 5)
    assert.equal(numberAt(table, 'incarn.3', 0), 5)
  })

  test('asks nothing more of what is settled', () => {
    const table = mergeTables(known, reportOnSelf(own, all, known))
    const asked: string[] = []
    const hinted = (incarnations: ReadonlySet<string>) => {
      asked.push(...incarnations)
      return new Map()
    }
    const again = reportOnSelf({ ...own, counter: 8 }, { ...all, hinted }, table)
    assert.deepEqual(asked, ['incarn.3'])
    assert.equal(numberAt(mergeTables(table, again), 'incarn.3', 0), 8)
  })

  test('a removed member has ended, and only that one, once it is known what hints hold of it', () => {
    const others = new Map([['incarn.2', { member: 'n2', upTo: 3, lower: new Map() }]])
    const before = mergeTables(reportOnSelf(own, all, new Map()), others)
    const unknown = reportOnRemoved('n2', { ...all, settledUpTo: () => 0 }, before)
    assert.equal(numberAt(mergeTables(before, unknown), 'incarn.2', 0), 3)
    const removed = mergeTables(before, reportOnRemoved('n2', all, before))
    assert.equal(numberAt(removed, 'incarn.2', 0), ended)
    assert.equal(numberAt(removed, 'incarn.3', 0), 7)
  })
})
