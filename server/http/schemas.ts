import { Type } from 'typebox'

/** The one description of requests and answers: validation, types, and the OpenAPI document come from here. */

const quorumPattern = '^([1-9][0-9]{0,2}|one|quorum|all|local_quorum|each_quorum)$'

const quorum = (what: string) =>
  Type.Optional(
    Type.String({
      pattern: quorumPattern,
      description: `How many replicas must ${what}: a number, one, quorum, all, local_quorum, each_quorum`
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
    return: Type.Optional(Type.Literal('body'))
  },
  closed
)

export const deleteQuery = Type.Object(dataQuery, closed)

export const listQuery = Type.Object(
  {
    ...dataQuery,
    prefix: Type.Optional(Type.String()),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    cursor: Type.Optional(Type.String({ description: 'From the answer before' }))
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

const quorumValue = Type.Union([
  Type.Integer({ minimum: 1, maximum: 999 }),
  Type.String({ pattern: quorumPattern })
])

export const bucketBody = Type.Object(
  {
    conflict: Type.Optional(Type.Union([Type.Literal('siblings'), Type.Literal('lww')])),
    ttl: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 * 366 * 86_400 })),
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
    context: Type.Optional(Type.String()),
    contentType: Type.Optional(Type.String())
  },
  closed
)

export const batchBody = (operationsMax: number) =>
  Type.Object({ ops: Type.Array(batchOperation, { maxItems: operationsMax }) }, closed)

export const localQuery = Type.Object({ local: Type.Optional(Type.Boolean()) }, closed)

/** `?verbose` has no value, or any. */
export const verboseQuery = Type.Object({ verbose: Type.Optional(Type.String()) }, closed)

export const problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String(),
    detail: Type.String()
  },
  { description: 'RFC 9457, with a code for programs and the facts of the case' }
)
