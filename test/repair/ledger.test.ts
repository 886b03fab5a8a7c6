import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DecodeError } from '../../core/errors.ts'
import type { Log } from '../../core/ports.ts'
import { Ledger, type LedgerStorage } from '../../repair/ledger.ts'
import {
  decodeLedger,
  earlyReasons,
  encodeLedger,
  type LedgerRecord
} from '../../repair/ledger-codec.ts'
import { lawRuns } from '../core/law-runs.ts'
import { partitionOutcome } from './outcomes.ts'

const errors: string[] = []
const log: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (_fields, message) => errors.push(message)
}

function memory(): LedgerStorage & { readonly records: Map<string, Uint8Array> } {
  const records = new Map<string, Uint8Array>()
  return {
    records,
    read: (peer) => records.get(peer) ?? null,
    write: async (peer, record) => {
      records.set(peer, record)
    }
  }
}

const equal = (partition: number) => new Map([[partition, partitionOutcome('equal')]])

describe('the ledger', () => {
  it('knows after a restart when two nodes were last equal, and what is marked', async () => {
    const storage = memory()
    const before = new Ledger(storage, log)
    await before.note('n2', equal(7), { since: before.now, nowMs: 1234 })
    await before.mark(9, ['n2', 'n3'], 'damage was found')
    const after = new Ledger(storage, log)
    assert.equal(after.entry(7, 'n2').lastEqualMs, 1234)
    assert.equal(after.entry(7, 'n3').lastEqualMs, null)
    assert.deepEqual(after.earlyWith('n2'), [9])
    assert.equal(after.entry(9, 'n3').early, 'damage was found')
  })

  it('keeps a mark until an exchange ends equal that began after it was set', async () => {
    const ledger = new Ledger(memory(), log)
    await ledger.mark(1, ['n2'], 'hints were lost')
    const since = ledger.now
    const differs = new Map([[1, partitionOutcome('differs', 'hot')]])
    await ledger.note('n2', differs, { since, nowMs: 1 })
    assert.deepEqual(ledger.earlyWith('n2'), [1])
    await ledger.mark(1, ['n2'], 'hints were lost')
    await ledger.note('n2', equal(1), { since, nowMs: 2 })
    assert.deepEqual(ledger.earlyWith('n2'), [1], 'what was lost meanwhile was not looked at')
    await ledger.note('n2', equal(1), { since: ledger.now, nowMs: 3 })
    assert.deepEqual(ledger.earlyWith('n2'), [])
    assert.equal(ledger.entry(1, 'n2').early, null)
  })

  it('adds up what exchanges did, and does not take busy for an answer', async () => {
    const ledger = new Ledger(memory(), log)
    const found = { ...partitionOutcome('differs', 'hot'), differences: 3, rowsSent: 2 }
    for (const outcome of [found, found, partitionOutcome('busy', 'n2 is busy')]) {
      await ledger.note('n2', new Map([[1, outcome]]), { since: ledger.now, nowMs: 5 })
    }
    const { differences, rowsSent, exchanges, last, reason, lastEqualMs } = ledger.entry(1, 'n2')
    assert.deepEqual(
      { differences, rowsSent, exchanges },
      { differences: 6, rowsSent: 4, exchanges: 2 }
    )
    assert.deepEqual(
      { last, reason, lastEqualMs },
      { last: 'differs', reason: 'n2 is busy', lastEqualMs: null }
    )
  })

  it('forgets a member that is gone, also on disk', async () => {
    const storage = memory()
    const ledger = new Ledger(storage, log)
    await ledger.note('n2', equal(7), { since: 0, nowMs: 1 })
    await ledger.forget('n2')
    assert.equal(ledger.entry(7, 'n2').lastEqualMs, null)
    assert.equal(new Ledger(storage, log).entry(7, 'n2').lastEqualMs, null)
  })

  it('takes a record that cannot be read for none, and says so', () => {
    const storage = memory()
    storage.records.set('n2', Uint8Array.of(9, 9, 9))
    errors.length = 0
    assert.equal(new Ledger(storage, log).entry(0, 'n2').lastEqualMs, null)
    assert.deepEqual(errors, ['the repair ledger cannot be read'])
  })
})

describe('the codec of the ledger', () => {
  const record: fc.Arbitrary<LedgerRecord> = fc.record(
    {
      partition: fc.nat(65_535),
      lastEqualMs: fc.option(fc.maxSafeNat()).map((ms) => ms && Math.min(ms, 2 ** 47)),
      early: fc.option(fc.constantFrom(...earlyReasons))
    },
    { noNullPrototype: true }
  )

  it('gives back what it was given', () => {
    fc.assert(
      fc.property(fc.array(record), (records) => {
        assert.deepEqual(decodeLedger(encodeLedger(records)), records)
      }),
      lawRuns(200)
    )
  })

  it('answers damage with a DecodeError or with records, never otherwise', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          decodeLedger(bytes)
        } catch (thrown) {
          assert.ok(thrown instanceof DecodeError)
        }
      }),
      lawRuns(1000)
    )
  })
})
