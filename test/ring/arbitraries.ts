import fc from 'fast-check'
import type {
  BucketRecord,
  ClusterDocument,
  Member,
  QuorumSpec
} from '../../ring/cluster-document.ts'

/** A member with everything that a test does not care about filled in. */
export function memberOf(id: string, fields: Partial<Member> = {}): Member {
  return {
    id,
    version: 1,
    state: 'normal',
    http: '127.0.0.1:8801',
    peer: '127.0.0.1:9801',
    zone: '',
    region: '',
    weight: 1,
    joinedAt: 0,
    removedAt: 0,
    ...fields
  }
}

/** `count` founders with ids in order, the zones taking turns. */
export function foundersOf(count: number, zones = 1): Member[] {
  return Array.from({ length: count }, (_, index) =>
    memberOf(`n${String(index).padStart(3, '0')}`, { zone: `z${index % zones}` })
  )
}

// Real objects have a prototype, and deep equality asks for it.
const plain = { noNullPrototype: true } as const

// Few ids, versions and contents, so that generated documents collide in every way there is.
const memberRecords: fc.Arbitrary<Member> = fc
  .record(
    {
      id: fc.constantFrom('a', 'b', 'c', 'd'),
      version: fc.integer({ min: 0, max: 3 }),
      state: fc.constantFrom('joining', 'normal', 'leaving', 'removed'),
      http: fc.constantFrom('h1', 'h2'),
      peer: fc.constantFrom('p1', 'p2'),
      zone: fc.constantFrom('', 'z1', 'z2'),
      region: fc.constantFrom('', 'eu', 'us'),
      weight: fc.integer({ min: 1, max: 4 }),
      joinedAt: fc.integer({ min: 0, max: 3 }),
      removedAt: fc.integer({ min: 4, max: 6 })
    },
    plain
  )
  .map((member) => ({ ...member, removedAt: member.state === 'removed' ? member.removedAt : 0 }))

const quorums = fc.constantFrom<QuorumSpec | null>(null, 1, 2, 'one', 'quorum', 'each_quorum')

const bucketRecords: fc.Arbitrary<BucketRecord> = fc.record(
  {
    version: fc.integer({ min: 0, max: 2 }),
    writer: fc.constantFrom('a', 'b'),
    properties: fc.option(
      fc.record(
        {
          conflict: fc.constantFrom('siblings', 'lww'),
          ttlSeconds: fc.constantFrom(null, 1, 60),
          r: quorums,
          w: quorums
        },
        plain
      )
    )
  },
  plain
)

/** Valid documents. */
export const documents: fc.Arbitrary<ClusterDocument> = fc.record(
  {
    members: fc
      .array(memberRecords, { maxLength: 4 })
      .map((members) => new Map(members.map((member) => [member.id, member]))),
    buckets: fc
      .array(fc.tuple(fc.constantFrom('x', 'y', '__proto__'), bucketRecords), { maxLength: 3 })
      .map((buckets) => new Map(buckets)),
    sealed: fc.boolean()
  },
  plain
)

/** One random topology change: the number chooses between joining and who is to leave. */
export type Step = number

export const steps: fc.Arbitrary<readonly Step[]> = fc.array(fc.nat({ max: 9999 }), {
  minLength: 1,
  maxLength: 25
})

/**
 * The records after each of the steps, beginning with the founders. The cluster keeps between `least` and `most`
 * members in the ring; zones go round.
 */
export function historyOf(
  founders: readonly Member[],
  changes: readonly Step[],
  bounds: { readonly least: number; readonly most: number; readonly zones: number }
): readonly (readonly Member[])[] {
  const records: Member[][] = [[...founders]]
  for (const [index, step] of changes.entries()) {
    const before = records.at(-1) ?? []
    const present = before.filter(({ state }) => state === 'normal')
    const joins = present.length <= bounds.least || (present.length < bounds.most && step % 2 === 0)
    const sequence = index + 1
    if (joins) {
      const zone = `z${before.length % bounds.zones}`
      records.push([...before, memberOf(`j${sequence}`, { joinedAt: sequence, zone })])
    } else {
      const leaver = present[(step >> 1) % present.length]?.id
      records.push(
        before.map((member) =>
          member.id === leaver
            ? { ...member, state: 'removed', version: 2, removedAt: sequence }
            : member
        )
      )
    }
  }
  return records
}
