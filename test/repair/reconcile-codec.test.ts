import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DecodeError } from '../../core/errors.ts'
import { decodeQuestion, encodeQuestion } from '../../repair/reconcile/question-codec.ts'
import { decodeReply, encodeReply } from '../../repair/reconcile/reply-codec.ts'
import { lawRuns } from '../core/law-runs.ts'
import { comparable } from '../proto/bodies.ts'
import { questions, replies } from './reconcile-messages.ts'

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
