import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { DecodeError } from '../../core/errors.ts'
import { documentMembersMax } from '../../core/limits.ts'
import { decodeColdBody, encodeColdBody } from '../../proto/cold-codec.ts'
import {
  type ClusterDocumentSchema,
  GossipedSchema,
  GossipSchema
} from '../../proto/gen/anneal/peer/v1/peer_pb.ts'
import { documentDigest } from '../../ring/cluster-document.ts'
import { memberOf } from '../ring/arbitraries.ts'

function gossip(document: MessageInitShape<typeof ClusterDocumentSchema>): Uint8Array {
  return toBinary(GossipSchema, create(GossipSchema, { document }))
}

const member = {
  id: 'n1',
  version: 1n,
  state: 'normal',
  http: 'h:1',
  peer: 'p:1',
  weight: 1,
  joinedAt: 0n,
  removedAt: 0n
}

describe('a cluster document from a peer', () => {
  test('that is valid is taken', () => {
    const body = decodeColdBody('gossip', gossip({ members: [member] }))
    assert.ok(body.kind === 'gossip' && body.document !== null)
    assert.equal(body.document.members.get('n1')?.weight, 1)
  })

  test('keeps its digest on the way', () => {
    const document = {
      members: new Map([['n1', memberOf('n1', { zone: 'größer', weight: 3 })]]),
      buckets: new Map([
        [
          '__proto__',
          {
            version: 2 ** 40,
            writer: 'n1',
            properties: { conflict: 'lww', ttlSeconds: 60, r: 2, w: 'each_quorum' }
          }
        ],
        ['x', { version: 1, writer: 'n1', properties: null }]
      ] as const),
      sealed: true
    }
    const body = decodeColdBody('gossiped', encodeColdBody({ kind: 'gossiped', document }))
    assert.ok(body.kind === 'gossiped')
    assert.equal(documentDigest(body.document), documentDigest(document))
  })

  const refused: readonly (readonly [string, MessageInitShape<typeof ClusterDocumentSchema>])[] = [
    ['a state that does not exist', { members: [{ ...member, state: 'asleep' }] }],
    ['an id with a slash', { members: [{ ...member, id: '../n1' }] }],
    ['a version that no number holds', { members: [{ ...member, version: 2n ** 60n }] }],
    [
      'more members than a cluster may have',
      {
        members: Array.from({ length: documentMembersMax + 1 }, (_, i) => ({
          ...member,
          id: `n${i}`
        }))
      }
    ],
    [
      'a quorum that does not exist',
      {
        buckets: [
          { name: 'b', version: 1n, writer: 'n1', properties: { conflict: 'lww', r: 'most' } }
        ]
      }
    ],
    [
      'a conflict mode that does not exist',
      { buckets: [{ name: 'b', version: 1n, writer: 'n1', properties: { conflict: 'coin' } }] }
    ]
  ]
  for (const [what, document] of refused) {
    test(`with ${what} is refused`, () => {
      assert.throws(() => decodeColdBody('gossip', gossip(document)), DecodeError)
    })
  }

  test('that is missing where it belongs is refused', () => {
    assert.throws(
      () => decodeColdBody('gossiped', toBinary(GossipedSchema, create(GossipedSchema))),
      DecodeError
    )
    const asking = decodeColdBody('gossip', toBinary(GossipSchema, create(GossipSchema)))
    assert.ok(asking.kind === 'gossip')
    assert.equal(asking.document, null)
  })
})
