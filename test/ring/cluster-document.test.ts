import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DecodeError } from '../../core/errors.ts'
import {
  bucketRecordsMax,
  bucketsMax,
  documentBucketsMax,
  documentMembersMax,
  membersMax
} from '../../core/limits.ts'
import {
  type BucketProperties,
  type BucketRecord,
  type ClusterDocument,
  documentDigest,
  type Member,
  mergeDocuments,
  validateDocument
} from '../../ring/cluster-document.ts'
import { documents, memberOf } from './arbitraries.ts'

const empty: ClusterDocument = { members: new Map(), buckets: new Map(), sealed: false }
const defaults: BucketProperties = { conflict: 'siblings', ttlSeconds: null, r: null, w: null }

function documentWith(...members: readonly Member[]): ClusterDocument {
  return { ...empty, members: new Map(members.map((member) => [member.id, member])) }
}

function documentWithBucket(name: string, record: Partial<BucketRecord>): ClusterDocument {
  const whole = { version: 1, writer: 'a', properties: null, ...record }
  return { ...empty, buckets: new Map([[name, whole]]) }
}

function membersNamed(prefix: string, count: number): Map<string, Member> {
  const members = Array.from({ length: count }, (_, index) => memberOf(`${prefix}${index}`))
  return new Map(members.map((member) => [member.id, member]))
}

function bucketsNamed(prefix: string, count: number): Map<string, BucketRecord> {
  const record = { version: 1, writer: 'a', properties: null }
  return new Map(Array.from({ length: count }, (_, index) => [`${prefix}${index}`, record]))
}

function mergedMember(a: Member, b: Member): Member | undefined {
  return mergeDocuments(documentWith(a), documentWith(b)).members.get(a.id)
}

describe('merging cluster documents', () => {
  it('does not depend on order', () => {
    fc.assert(
      fc.property(documents, documents, (a, b) => {
        assert.deepEqual(mergeDocuments(a, b), mergeDocuments(b, a))
      })
    )
  })

  it('does not depend on grouping', () => {
    fc.assert(
      fc.property(documents, documents, documents, (a, b, c) => {
        const left = mergeDocuments(mergeDocuments(a, b), c)
        assert.deepEqual(left, mergeDocuments(a, mergeDocuments(b, c)))
      })
    )
  })

  it('answers the first document itself when the second adds nothing', () => {
    fc.assert(
      fc.property(documents, documents, (a, b) => {
        const merged = mergeDocuments(a, b)
        assert.equal(mergeDocuments(merged, b), merged)
        assert.equal(mergeDocuments(merged, a), merged)
      })
    )
  })

  it('keeps valid documents valid', () => {
    fc.assert(fc.property(documents, documents, (a, b) => validateDocument(mergeDocuments(a, b))))
  })

  it('keeps the record with the greater version', () => {
    const old = memberOf('a', { version: 1, state: 'leaving' })
    const young = memberOf('a', { version: 2, state: 'normal' })
    assert.deepEqual(mergedMember(old, young), young)
  })

  it('keeps the later state where versions are equal', () => {
    const joining = memberOf('a', { state: 'joining' })
    const leaving = memberOf('a', { state: 'leaving' })
    assert.deepEqual(mergedMember(leaving, joining), leaving)
  })

  it('picks the same record on both sides where version and state are equal', () => {
    const here = memberOf('a', { http: 'here' })
    const there = memberOf('a', { http: 'there' })
    assert.deepEqual(mergedMember(here, there), mergedMember(there, here))
  })

  it('never brings a removed member back, whatever versions say', () => {
    fc.assert(
      fc.property(documents, fc.array(documents, { maxLength: 4 }), (first, others) => {
        const merged = others.reduce(mergeDocuments, first)
        for (const { id, state } of first.members.values()) {
          if (state === 'removed') assert.equal(merged.members.get(id)?.state, 'removed')
        }
      })
    )
  })

  it('keeps a reset of bucket properties against an older configuration', () => {
    const configured = documentWithBucket('x', { version: 1, properties: defaults })
    const reset = documentWithBucket('x', { version: 2, properties: null })
    assert.equal(mergeDocuments(reset, configured).buckets.get('x')?.properties, null)
  })

  it('is sealed once either side is', () => {
    assert.equal(mergeDocuments(empty, { ...empty, sealed: true }).sealed, true)
    assert.equal(mergeDocuments({ ...empty, sealed: true }, empty).sealed, true)
    assert.equal(mergeDocuments(empty, empty).sealed, false)
  })
})

describe('the digest of a cluster document', () => {
  it('is equal exactly for equal documents', () => {
    fc.assert(
      fc.property(documents, documents, (a, b) => {
        const equal = isDeepEqual(a, b)
        assert.equal(documentDigest(a) === documentDigest(b), equal)
      })
    )
  })

  it('does not depend on the order of records', () => {
    fc.assert(
      fc.property(documents, (document) => {
        const turned = {
          members: new Map([...document.members].reverse()),
          buckets: new Map([...document.buckets].reverse()),
          sealed: document.sealed
        }
        assert.equal(documentDigest(turned), documentDigest(document))
      })
    )
  })

  it('is 32 hexadecimal digits', () => {
    assert.match(documentDigest(empty), /^[0-9a-f]{32}$/)
  })

  it('changes with every single field', () => {
    const before = documentDigest(documentWith(memberOf('a', { state: 'removed', removedAt: 9 })))
    const changes: readonly Partial<Member>[] = [
      { version: 2 },
      { state: 'leaving' },
      { http: 'other' },
      { peer: 'other' },
      { zone: 'other' },
      { region: 'other' },
      { weight: 2 },
      { joinedAt: 1 },
      { removedAt: 8 }
    ]
    for (const change of changes) {
      const changed = memberOf('a', { state: 'removed', removedAt: 9, ...change })
      assert.notEqual(documentDigest(documentWith(changed)), before, JSON.stringify(change))
    }
  })
})

function isDeepEqual(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b)
    return true
  } catch {
    return false
  }
}

/** What a peer might send in place of a member: any fields, of any type. */
function hostileMember(fields: Record<string, unknown>): ClusterDocument {
  const member: Member = Object.assign(memberOf('a'), fields)
  return { ...empty, members: new Map([[member.id, member]]) }
}

function hostileBucket(fields: Record<string, unknown>): ClusterDocument {
  const properties: BucketProperties = Object.assign({ ...defaults }, fields)
  return documentWithBucket('x', { properties })
}

describe('validating a cluster document', () => {
  it('accepts valid documents', () => {
    fc.assert(fc.property(documents, (document) => validateDocument(document)))
  })

  const cases: readonly [string, ClusterDocument, RegExp][] = [
    ['an empty id', documentWith(memberOf('')), /member id ""/],
    ['an id with a slash', documentWith(memberOf('a/b')), /member id "a\/b"/],
    ['an id that is too long', documentWith(memberOf('a'.repeat(65))), /1 to 64/],
    ['an id that is no text', hostileMember({ id: 7 }), /member id 7/],
    ['an unknown state', hostileMember({ state: 'dead' }), /member a: there is no state "dead"/],
    ['a fractional version', hostileMember({ version: 1.5 }), /version, 1.5/],
    ['a negative version', hostileMember({ version: -1 }), /version, -1/],
    ['a version beyond exact numbers', hostileMember({ version: 2 ** 53 }), /its version/],
    ['a weight of zero', hostileMember({ weight: 0 }), /weight, 0/],
    ['a weight that is not a number', hostileMember({ weight: Number.NaN }), /weight, NaN/],
    ['an enormous weight', hostileMember({ weight: 1e9 }), /weight/],
    ['a lone surrogate', hostileMember({ zone: '\ud800' }), /its zone/],
    ['a line break', hostileMember({ http: 'a\nb' }), /its http/],
    ['an endless address', hostileMember({ peer: 'x'.repeat(300) }), /its peer/],
    ['a missing region', hostileMember({ region: undefined }), /its region/],
    ['a normal member that was removed', hostileMember({ removedAt: 3 }), /it is normal, yet/],
    [
      'a member removed before it joined',
      hostileMember({ state: 'removed', joinedAt: 5, removedAt: 5 }),
      /before it joined/
    ],
    [
      'a member under the id of another',
      { ...empty, members: new Map([['b', memberOf('a')]]) },
      /member a is filed under another id/
    ],
    ['a nameless bucket', documentWithBucket('', {}), /bucket name/],
    ['a bucket name without end', documentWithBucket('x'.repeat(20_000), {}), /bucket name/],
    ['a bucket writer that is no id', documentWithBucket('x', { writer: '?' }), /its writer/],
    ['a bucket version', documentWithBucket('x', { version: -1 }), /its version, -1/],
    ['an unknown conflict mode', hostileBucket({ conflict: 'first' }), /no mode "first"/],
    ['a time to live of zero', hostileBucket({ ttlSeconds: 0 }), /time to live, 0/],
    ['a quorum of nobody', hostileBucket({ r: 0 }), /its r, 0/],
    ['an unknown quorum', hostileBucket({ w: 'most' }), /its w, "most"/],
    ['a seal that is no boolean', Object.assign({ ...empty }, { sealed: 1 }), /seal/]
  ]
  for (const [what, document, message] of cases) {
    it(`refuses ${what} and says so`, () => {
      assert.throws(
        () => validateDocument(document),
        (error) => error instanceof DecodeError && message.test(error.message)
      )
    })
  }

  it('refuses more members or buckets than any nodes can have come to', () => {
    const members = membersNamed('n', documentMembersMax + 1)
    assert.throws(() => validateDocument({ ...empty, members }), /16385 members, more than 16384/)
    const buckets = bucketsNamed('b', documentBucketsMax + 1)
    assert.throws(() => validateDocument({ ...empty, buckets }), /65537 buckets, more than 65536/)
  })

  it('takes what nodes have come to that each added all that may be', () => {
    const all = ['a', 'b', 'c', 'd'].map((name) => ({
      members: membersNamed(name, membersMax),
      buckets: bucketsNamed(name, bucketRecordsMax),
      sealed: true
    }))
    const { members, buckets } = all.reduce(mergeDocuments, empty)
    assert.deepEqual([members.size, buckets.size], [4 * membersMax, 16 * bucketsMax])
    validateDocument({ members, buckets, sealed: true })
  })
})
