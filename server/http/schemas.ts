import { Type } from 'typebox'

/** The one description of requests: validation, types, and the OpenAPI document come from here. */

const quorumPattern = '^([1-9][0-9]{0,2}|one|quorum|all|local_quorum|each_quorum)$'
const quorumTakes =
  'a number of replicas from 1 on, or one, quorum, all, local_quorum or each_quorum'

const quorum = (what: string) =>
  Type.Optional(
    Type.String({
      pattern: quorumPattern,
      'x-takes': quorumTakes,
      description: `How many replicas must ${what}: ${quorumTakes}`
    })
  )

const dataQuery = {
  r: quorum('answer a read'),
  w: quorum('have stored a write'),
  sloppy: Type.Optional(
    Type.Boolean({ description: 'false: only the replicas of the key count, nobody stands in' })
  ),
  timeout: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 600_000, description: 'Milliseconds' })
  )
}

const closed = { additionalProperties: false } as const

export const readQuery = Type.Object(
  { ...dataQuery, sibling: Type.Optional(Type.String({ description: 'ETag of one sibling' })) },
  closed
)

export const putQuery = Type.Object(
  {
    ...dataQuery,
    ttl: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100 * 366 * 86_400, description: 'Seconds to live' })
    ),
    return: Type.Optional(
      Type.Literal('body', { description: 'Answer as a GET would, with 200 or 300' })
    )
  },
  closed
)

export const deleteQuery = Type.Object(dataQuery, closed)

export const batchQuery = Type.Object(dataQuery, closed)

export const listQuery = Type.Object(
  {
    ...dataQuery,
    prefix: Type.Optional(Type.String({ description: 'Only keys that begin with this' })),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        description: 'Keys at the most; 1000 unless given'
      })
    ),
    cursor: Type.Optional(
      Type.String({ description: 'From the answer before; empty: from the beginning' })
    )
  },
  closed
)

export const keyParams = Type.Object({
  bucket: Type.String({ description: 'Percent-encoded UTF-8' }),
  key: Type.String({ description: 'Percent-encoded UTF-8; %2F for a slash' })
})

export const bucketParams = Type.Object({
  bucket: Type.String({ description: 'Percent-encoded UTF-8' })
})

const context = Type.Optional(
  Type.String({
    description: 'The Causal-Context of an earlier answer for the same key, as it was'
  })
)

export const readHeaders = Type.Object({
  'Causal-Context': context,
  'If-None-Match': Type.Optional(Type.String({ description: '304 where this ETag still holds' })),
  Accept: Type.Optional(Type.String({ description: 'multipart/mixed: siblings as parts' }))
})

const conditions = {
  'Causal-Context': context,
  'If-Match': Type.Optional(Type.String({ description: '412 where the key has another ETag' })),
  'If-None-Match': Type.Optional(Type.String({ description: '*: 412 where the key has a value' }))
}

export const deleteHeaders = Type.Object(conditions)

export const putHeaders = Type.Object({
  ...conditions,
  'X-Meta-*': Type.Optional(Type.String({ description: 'Kept with the value and given back' }))
})

/** Bytes of any type; the server never looks inside. */
export const valueBody = Type.Unsafe<unknown>({ type: 'string', format: 'binary' })

const quorumValue = Type.Union(
  [Type.Integer({ minimum: 1, maximum: 999 }), Type.String({ pattern: quorumPattern })],
  { 'x-takes': quorumTakes }
)

export const bucketBody = Type.Object(
  {
    conflict: Type.Optional(Type.Union([Type.Literal('siblings'), Type.Literal('lww')])),
    ttl: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100 * 366 * 86_400, description: 'Seconds to live' })
    ),
    r: Type.Optional(quorumValue),
    w: Type.Optional(quorumValue)
  },
  closed
)

const batchOperation = Type.Object(
  {
    op: Type.Union([Type.Literal('get'), Type.Literal('put'), Type.Literal('delete')]),
    bucket: Type.String(),
    key: Type.String(),
    value: Type.Optional(Type.String({ description: 'base64' })),
    context: Type.Optional(
      Type.Union([Type.String(), Type.Null()], {
        'x-takes': 'a string, or null',
        description: 'What a get answered; null, as it is of a key without a value: none'
      })
    ),
    contentType: Type.Optional(Type.String())
  },
  closed
)

export const batchBody = (operationsMax: number) =>
  Type.Object({ ops: Type.Array(batchOperation, { maxItems: operationsMax }) }, closed)

export const localQuery = Type.Object({ local: Type.Optional(Type.Boolean()) }, closed)

/** `?verbose` has no value, or any. */
export const verboseQuery = Type.Object({ verbose: Type.Optional(Type.String()) }, closed)
