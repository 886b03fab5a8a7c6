import fc from 'fast-check'
import type { Envelope, Question, Reply } from '../../repair/reconcile/messages.ts'
import type { FactKind, RowOutcome } from '../../repair/reconcile/range-side.ts'
import { actors, vectors } from '../storage/encodable.ts'
import { keyOf } from './reconcile-side.ts'

const plain = { noNullPrototype: true } as const
const kind = <Kind extends string>(name: Kind) => fc.constant(name)
const bytesOf = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes))
const someBytes = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes))

const partitionSets = fc
  .uniqueArray(fc.nat({ max: 300 }), { maxLength: 8 })
  .map((numbers) => numbers.sort((a, b) => a - b))
const factKinds = fc.constantFrom<FactKind>('table', 'watermark', 'proofs')
const names = bytesOf(8).map((bytes) => bytes.toString('hex'))
const offers = fc.array(
  fc.record({ kind: factKinds, name: names, partitions: partitionSets }, plain),
  {
    maxLength: 3
  }
)
const dots = fc.record({ actor: actors, counter: fc.integer({ min: 1, max: 2 ** 40 }) }, plain)
const dotLists = fc.array(dots, { minLength: 1, maxLength: 3 })
const keys = fc.string({ maxLength: 12 }).map((key) => keyOf('bucket', key))
const rows = fc.array(fc.record({ key: keys, object: someBytes }, plain), { maxLength: 3 })
const counts = fc.nat({ max: 100_000 })

const envelopes: fc.Arbitrary<Envelope> = fc.record(
  {
    facts: fc.array(fc.record({ kind: factKinds, name: names, content: someBytes }, plain), {
      maxLength: 2
    }),
    wanted: fc.array(fc.record({ kind: factKinds, name: names }, plain), { maxLength: 2 })
  },
  plain
)

const ref = { partition: fc.nat({ max: 65_535 }), snapshot: counts, peerSnapshot: counts }
const partsOf = <T extends object>(more: fc.Arbitrary<T>) =>
  fc.array(
    fc.tuple(fc.record(ref, plain), more).map(([a, b]) => ({ ...a, ...b })),
    { maxLength: 3 }
  )
const rising = (max: number) =>
  fc.uniqueArray(fc.nat({ max }), { maxLength: 4 }).map((numbers) => numbers.sort((a, b) => a - b))

const descends = rising(15).chain((indexes) =>
  fc.tuple(...indexes.map(() => bytesOf(96))).map((children) => ({
    nodes: indexes.map((index, i) => ({ index, children: children[i] ?? Buffer.alloc(0) }))
  }))
)
const nodeAnswers = rising(15).chain((children) =>
  bytesOf(children.length * 24).map((leaves) => ({
    mask: children.reduce((mask, child) => mask | (1 << child), 0),
    leaves
  }))
)
const leavesOf = (width: number) =>
  rising(1023).chain((numbers) =>
    fc
      .tuple(...numbers.map(() => fc.nat({ max: 3 }).chain((count) => bytesOf(count * width))))
      .map((entries) => ({
        leaves: numbers.map((leaf, i) => ({ leaf, entries: entries[i] ?? Buffer.alloc(0) }))
      }))
  )
const wants = fc
  .array(
    fc.record(
      {
        leaf: fc.nat({ max: 1023 }),
        digestStart: fc.nat({ max: 2 ** 24 - 1 }),
        dots: fc.option(dotLists)
      },
      plain
    ),
    { maxLength: 4 }
  )
  .map((list) => ({ wants: list.sort((a, b) => a.leaf - b.leaf) }))

const openPartitions = partitionSets.chain((numbers) =>
  fc
    .tuple(
      ...numbers.map((partition) =>
        fc.tuple(counts, fc.boolean(), bytesOf(8)).map(([snapshot, isEmpty, root]) => ({
          partition,
          snapshot,
          isEmpty,
          root: isEmpty ? Buffer.alloc(0) : root
        }))
      )
    )
    .map((list) => [...list])
)
const presentRoots = partitionSets.chain((numbers) =>
  fc
    .tuple(...numbers.map(() => bytesOf(16)))
    .map((roots) =>
      numbers.map((partition, i) => ({ partition, root: roots[i] ?? Buffer.alloc(16) }))
    )
)

const bodies: fc.Arbitrary<Question> = fc.oneof(
  fc.record({ kind: kind('open'), nowMs: counts, offers, partitions: openPartitions }, plain),
  fc.record({ kind: kind('verify'), partitions: partitionSets }, plain),
  fc.record({ kind: kind('descend'), parts: partsOf(descends) }, plain),
  fc
    .constantFrom(6, 16)
    .chain((width) =>
      fc.record(
        { kind: kind('leaves'), width: fc.constant(width), parts: partsOf(leavesOf(width)) },
        plain
      )
    ),
  fc.record(
    { kind: kind('exchange'), wantsRoots: fc.boolean(), rows, parts: partsOf(wants) },
    plain
  ),
  fc.record(
    {
      kind: kind('pull'),
      part: fc
        .record(
          {
            ...ref,
            leafFrom: fc.nat({ max: 512 }),
            leaves: fc.nat({ max: 512 }),
            bytesMax: counts,
            from: fc.option(bytesOf(9))
          },
          plain
        )
        .map(({ leaves, ...part }) => ({ ...part, leafTo: part.leafFrom + leaves }))
    },
    plain
  ),
  fc.record(
    {
      kind: kind('close'),
      table: names,
      equal: partitionSets,
      finished: partitionSets,
      setAside: fc.array(fc.record({ key: keys, dots: dotLists }, plain), { maxLength: 2 })
    },
    plain
  ),
  fc.record({ kind: fc.constantFrom('keep', 'bye') }, plain)
)

export const questions = fc.record({ question: bodies, envelope: envelopes }, plain)

const statuses = fc.oneof(
  fc.record(
    { status: kind('differs'), snapshot: counts, keys: fc.constant(0), children: bytesOf(96) },
    plain
  ),
  fc.record({ status: kind('full'), snapshot: counts, keys: counts, children: bytesOf(0) }, plain),
  fc.record(
    { status: kind('empty'), snapshot: counts, keys: fc.constant(0), children: bytesOf(0) },
    plain
  ),
  fc.record(
    {
      status: fc.constantFrom('equal', 'busy', 'notReady'),
      snapshot: fc.constant(0),
      keys: fc.constant(0),
      children: bytesOf(0)
    },
    plain
  )
)
const headerRows = fc.boolean().chain((timed) =>
  fc.record(
    {
      keyDigest: fc.nat({ max: 2 ** 40 - 1 }),
      youngMs: fc.nat({ max: 2000 }),
      versions: fc.array(
        fc.record({ dot: dots, past: vectors, timeMs: timed ? counts : fc.constant(null) }, plain),
        { minLength: 1, maxLength: 3 }
      )
    },
    plain
  )
)
const leafReplies = fc.record(
  { lacking: rising(40), rows: fc.array(headerRows, { maxLength: 9 }) },
  plain
)
const outcomes: fc.Arbitrary<RowOutcome> = fc.oneof(
  fc.record({ kind: kind('taken') }, plain),
  fc.record({ kind: kind('quarantined'), dots: dotLists }, plain),
  fc.record({ kind: kind('refused'), reason: fc.string({ maxLength: 10 }) }, plain)
)

const answers: fc.Arbitrary<Reply> = fc.oneof(
  fc.record(
    {
      kind: kind('opened'),
      nowMs: counts,
      offers,
      partitions: fc.array(statuses, { maxLength: 6 })
    },
    plain
  ),
  fc.record(
    {
      kind: kind('descended'),
      parts: fc.array(fc.option(fc.array(nodeAnswers, { maxLength: 4 })), {
        maxLength: 4
      })
    },
    plain
  ),
  fc.record(
    {
      kind: kind('compared'),
      parts: fc.array(fc.option(fc.array(leafReplies, { maxLength: 3 })), { maxLength: 3 })
    },
    plain
  ),
  fc.record(
    {
      kind: kind('exchanged'),
      outcomes: fc.array(outcomes, { maxLength: 5 }),
      answered: counts,
      stale: fc.boolean(),
      rows,
      roots: presentRoots
    },
    plain
  ),
  fc.record(
    {
      kind: kind('pulled'),
      stale: fc.boolean(),
      wait: fc.boolean(),
      rows,
      next: fc.option(bytesOf(9))
    },
    plain
  ),
  fc.record({ kind: kind('closed'), proven: fc.array(fc.boolean(), { maxLength: 6 }) }, plain),
  fc.record({ kind: fc.constantFrom('verified', 'kept', 'gone') }, plain)
)

export const replies = fc.record({ reply: answers, envelope: envelopes }, plain)
