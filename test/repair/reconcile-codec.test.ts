import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ByteWriter } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import type { Question, Reply } from '../../repair/reconcile/messages.ts'
import { decodeQuestion, encodeQuestion } from '../../repair/reconcile/question-codec.ts'
import type { FactOffer } from '../../repair/reconcile/range-side.ts'
import { decodeReply, encodeReply } from '../../repair/reconcile/reply-codec.ts'
import { makeActor } from '../../storage/version-vector.ts'
import { lawRuns } from '../core/law-runs.ts'
import { comparable } from '../proto/bodies.ts'
import { questions, replies } from './reconcile-messages.ts'
import { keyOf } from './reconcile-side.ts'

test('a question is read as what was asked', () => {
  fc.assert(
    fc.property(questions, ({ question, envelope }) => {
      const decoded = decodeQuestion(encodeQuestion(question, envelope))
      assert.deepEqual(comparable(decoded), comparable({ ...envelope, question }))
    }),
    lawRuns(500)
  )
})

test('a reply is read as what was answered', () => {
  fc.assert(
    fc.property(replies, ({ reply, envelope }) => {
      const decoded = decodeReply(encodeReply(reply, envelope))
      assert.deepEqual(comparable(decoded), comparable({ ...envelope, reply }))
    }),
    lawRuns(500)
  )
})

test('a message that is cut short is refused', () => {
  fc.assert(
    fc.property(questions, replies, fc.nat(), ({ question, envelope }, answer, cut) => {
      const asked = encodeQuestion(question, envelope)
      assert.throws(() => decodeQuestion(asked.subarray(0, cut % asked.length)), DecodeError)
      const answered = encodeReply(answer.reply, answer.envelope)
      assert.throws(() => decodeReply(answered.subarray(0, cut % answered.length)), DecodeError)
    }),
    lawRuns(500)
  )
})

describe('leaves that no partition has are refused', () => {
  const none = { facts: [], wanted: [] }
  const ref = { partition: 5, snapshot: 1, peerSnapshot: 2 }
  const pull = (leafFrom: number, leafTo: number): Question => {
    return { kind: 'pull', part: { ...ref, leafFrom, leafTo, from: null, bytesMax: 1 } }
  }
  const list = (leaf: number): Question => {
    const entries = Buffer.alloc(6)
    return { kind: 'leaves', width: 6, parts: [{ ...ref, leaves: [{ leaf, entries }] }] }
  }
  const want = (leaf: number): Question => {
    const parts = [{ ...ref, wants: [{ leaf, digestStart: 1, dots: null }] }]
    return { kind: 'exchange', wantsRoots: false, rows: [], parts }
  }
  for (const [what, last, beyond] of [
    ['that are listed', list(1023), [list(1024)]],
    ['of rows that are wanted', want(1023), [want(1024)]],
    ['of rows that are streamed', pull(1023, 1024), [pull(0, 1025), pull(1024, 1025), pull(5, 4)]]
  ] as const) {
    test(what, () => {
      assert.deepEqual(decodeQuestion(encodeQuestion(last, none)).question.kind, last.kind)
      for (const question of beyond) {
        assert.throws(() => decodeQuestion(encodeQuestion(question, none)), DecodeError)
      }
    })
  }
})

describe('a message that holds more than any node sends is refused before memory is taken', () => {
  const many = 200_000
  /** Zeros say as much as possible in few bytes. */
  const zeros = Buffer.alloc(16 * many)
  const nothing = (writer: ByteWriter) => writer.varint(0).varint(0)
  const oneOf = (writer: ByteWriter) => writer.varint(1).uint8(1)
  const ref = (writer: ByteWriter) => writer.varint(0).varint(0).varint(0)
  const dots = (writer: ByteWriter, count: number) => {
    const further = Buffer.alloc(3 * (count - 1), Buffer.from([1, 1, 0]))
    return writer.varint(count).varint(0).bytes(Buffer.alloc(8, 1)).uint8(1).uint8(0).bytes(further)
  }
  const asked = (kind: number) => nothing(new ByteWriter(1024).uint8(kind))
  const questionsOf: Readonly<Record<string, ByteWriter>> = {
    facts: new ByteWriter(1024).uint8(7).varint(many),
    'facts asked for': new ByteWriter(1024).uint8(7).varint(0).varint(many),
    offers: asked(0).varint(0).varint(many),
    'nodes of partitions': asked(2).varint(many),
    leaves: ref(asked(3).uint8(6).varint(1)).varint(many),
    rows: asked(4).uint8(0).varint(many),
    wants: ref(asked(4).uint8(0).varint(0).varint(1)).varint(many),
    'rows set aside': asked(6).bytes(Buffer.alloc(8)).varint(0).varint(0).varint(many),
    dots: dots(
      asked(6).bytes(Buffer.alloc(8)).varint(0).varint(0).varint(1).varint(0).varint(0),
      2_200_000
    )
  }
  for (const [name, writer] of Object.entries(questionsOf)) {
    test(`${name} of a question`, () => {
      const bytes = writer.bytes(zeros).finish()
      assert.throws(
        () => decodeQuestion(bytes),
        /DecodeError: (a count of|a message with too many)/
      )
    })
  }
  const repliesOf: Readonly<Record<string, ByteWriter>> = {
    statuses: asked(0).varint(0).varint(0).varint(many),
    nodes: oneOf(asked(2)).varint(many),
    'parts that are stale': asked(3).varint(many),
    leaves: oneOf(asked(3)).varint(many),
    'entries that are lacking': oneOf(asked(3))
      .varint(1)
      .varint(1_100_000 * 8),
    rows: asked(5).uint8(0).varint(0).varint(many),
    'partitions that are proven': asked(6).varint(many)
  }
  for (const [name, writer] of Object.entries(repliesOf)) {
    test(`${name} of a reply`, () => {
      const bytes = writer.bytes(zeros).finish()
      assert.throws(() => decodeReply(bytes), /DecodeError: (a count of|a message with too many)/)
    })
  }

  test('many bytes without rows', () => {
    const content = Buffer.alloc(33 * 1024 * 1024)
    const facts = [{ kind: 'table' as const, name: 'ab'.repeat(8), content }]
    const question = encodeQuestion({ kind: 'keep' }, { facts, wanted: [] })
    assert.throws(() => decodeQuestion(question), /DecodeError: .* bytes of a message of kind keep/)
    const reply = encodeReply({ kind: 'verified' }, { facts, wanted: [] })
    assert.throws(() => decodeReply(reply), /DecodeError: .* of kind verified/)
    const rows = [{ key: keyOf('bucket', 'key'), object: content }]
    const shipped = encodeQuestion(
      { kind: 'exchange', wantsRoots: false, rows, parts: [] },
      { facts: [], wanted: [] }
    )
    assert.equal(decodeQuestion(shipped).question.kind, 'exchange')
  })
})

describe('what the largest clusters and the fullest messages say is read', () => {
  const none = { facts: [], wanted: [] }
  const everyone = Array.from({ length: 65_536 }, (_, partition) => partition)
  const name = (n: number) => n.toString(16).padStart(16, '0')
  const key = keyOf('bucket', 'key')
  const dot = { actor: makeActor('a'.repeat(8), 1), counter: 5 }
  const ref = { partition: 5, snapshot: 2 ** 50, peerSnapshot: 2 ** 50 }
  const offers: FactOffer[] = [
    { kind: 'table', name: name(0), partitions: [] },
    { kind: 'table', name: name(0), partitions: everyone },
    ...everyone.map((p) => ({ kind: 'watermark' as const, name: name(p), partitions: [p] }))
  ]
  const wanted = (['watermark', 'proofs'] as const).flatMap((kind) =>
    everyone.map((p) => ({ kind, name: name(p) }))
  )
  const facts = wanted
    .slice(0, 13_000)
    .map((request) => ({ ...request, content: Buffer.alloc(10) }))
  const rows = Array.from({ length: 12_000 }, () => ({ key, object: Buffer.alloc(30) }))
  const versions = [{ dot, past: new Map([[dot.actor, 3]]), timeMs: null }]

  const fullest: Readonly<Record<string, Question>> = {
    'an opening': {
      kind: 'open',
      nowMs: 1,
      offers,
      partitions: everyone.map((partition) => {
        const snapshot = partition * 2 ** 30
        return { partition, snapshot, isEmpty: false, root: Buffer.alloc(8) }
      })
    },
    'a descent': {
      kind: 'descend',
      parts: everyone.slice(0, 700).map((partition) => ({
        ...ref,
        partition,
        nodes: [{ index: 15, children: Buffer.alloc(96) }]
      }))
    },
    leaves: {
      kind: 'leaves',
      width: 16,
      parts: everyone.slice(0, 256).map((partition) => ({
        ...ref,
        partition,
        leaves: [{ leaf: 1023, entries: Buffer.alloc(16 * 1000) }]
      }))
    },
    rows: {
      kind: 'exchange',
      wantsRoots: true,
      rows,
      parts: everyone.slice(0, 1024).map((partition) => ({
        ...ref,
        partition,
        wants: [{ leaf: 1023, digestStart: 1, dots: Array.from({ length: 100 }, () => dot) }]
      }))
    },
    'an end': {
      kind: 'close',
      table: name(0),
      equal: everyone,
      finished: everyone,
      setAside: Array.from({ length: 1000 }, () => ({ key, dots: [dot] }))
    }
  }
  for (const [what, question] of Object.entries(fullest)) {
    test(`${what} that is asked for`, () => {
      const envelope = { facts, wanted }
      const decoded = decodeQuestion(encodeQuestion(question, envelope))
      assert.equal(decoded.facts.length, facts.length)
      assert.equal(decoded.wanted.length, wanted.length)
      assert.deepEqual(encodeQuestion(decoded.question, none), encodeQuestion(question, none))
    })
  }

  const answered: Readonly<Record<string, Reply>> = {
    'an opening': {
      kind: 'opened',
      nowMs: 1,
      offers,
      partitions: everyone.map((partition) => {
        const snapshot = partition * 2 ** 30
        return { status: 'differs', snapshot, keys: 0, children: Buffer.alloc(96) }
      })
    },
    'a descent': {
      kind: 'descended',
      parts: Array.from({ length: 700 }, () => [{ mask: 65_535, leaves: Buffer.alloc(16 * 24) }])
    },
    leaves: {
      kind: 'compared',
      parts: Array.from({ length: 256 }, () => [
        {
          lacking: Array.from({ length: 1000 }, (_, n) => n),
          rows: Array.from({ length: 400 }, (_, keyDigest) => ({
            keyDigest,
            youngMs: 0,
            versions
          }))
        }
      ])
    },
    rows: { kind: 'pulled', stale: false, wait: false, rows, next: null },
    'an end': { kind: 'closed', proven: everyone.map(() => true) }
  }
  for (const [what, reply] of Object.entries(answered)) {
    test(`${what} that is answered`, () => {
      const decoded = decodeReply(encodeReply(reply, { facts, wanted }))
      assert.deepEqual(encodeReply(decoded.reply, none), encodeReply(reply, none))
    })
  }
})
