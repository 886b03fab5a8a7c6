import { equalBytes } from '../../core/bytes.ts'
import { decodeQuestion, encodeQuestion } from '../../repair/reconcile/question-codec.ts'
import { decodeReply, encodeReply } from '../../repair/reconcile/reply-codec.ts'
import { questions, replies } from '../repair/reconcile-messages.ts'
import { mutateFields } from './field-mutations.ts'
import { attempt, type FuzzTarget, mustHold, type Verdict } from './fuzz-target.ts'
import { mostlySmall, sample } from './samples.ts'

/** Questions of an exchange between replicas. */
export function reconcileQuestionTarget(seed: string): FuzzTarget {
  const corpus = mostlySmall(
    sample(questions, seed, 300).map(({ question, envelope }) => encodeQuestion(question, envelope))
  )
  const run = (input: Buffer): Verdict => {
    const decoded = attempt(() => decodeQuestion(input), 'decode error')
    if (!decoded.ok) return 'refused'
    const once = encodeQuestion(decoded.value.question, decoded.value)
    const again = decodeQuestion(once)
    const twice = encodeQuestion(again.question, again)
    mustHold(equalBytes(once, twice), 'what a question says survives being passed on')
    return 'accepted'
  }
  return { name: 'reconcile-question', corpus, donors: corpus, mutate: mutateFields, run }
}

/** Replies of an exchange between replicas. */
export function reconcileReplyTarget(seed: string): FuzzTarget {
  const corpus = mostlySmall(
    sample(replies, seed, 300).map(({ reply, envelope }) => encodeReply(reply, envelope))
  )
  const run = (input: Buffer): Verdict => {
    const decoded = attempt(() => decodeReply(input), 'decode error')
    if (!decoded.ok) return 'refused'
    const once = encodeReply(decoded.value.reply, decoded.value)
    const again = decodeReply(once)
    const twice = encodeReply(again.reply, again)
    mustHold(equalBytes(once, twice), 'what a reply says survives being passed on')
    return 'accepted'
  }
  return { name: 'reconcile-reply', corpus, donors: corpus, mutate: mutateFields, run }
}
