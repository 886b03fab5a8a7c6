import { type TSchema, Type } from 'typebox'
import { type ErrorCode, errorStatus } from '../../core/errors.ts'

/** What the calls answer with, for the OpenAPI document. Answers are not filtered by these. */

const problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'For programs; never changes its meaning' }),
    detail: Type.String({ description: 'For people: what happened, to what, and what to do' })
  },
  { title: 'Problem', description: 'RFC 9457, with a code for programs and the facts of the case' }
)

/** By status. */
export type Answers = Readonly<Record<number, object>>

/** The answers with these codes, by their statuses. */
export function problems(...codes: readonly ErrorCode[]): Answers {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codes) {
    const status = errorStatus[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  const answers = [...byStatus].map(([status, found]) => {
    const content = { 'application/problem+json': { schema: problem } }
    return [status, { description: found.join(', '), content }] as const
  })
  return Object.fromEntries(answers)
}

export function answer(
  description: string,
  mediaType: string,
  schema: TSchema,
  headers = {}
): object {
  return { description, headers, content: { [mediaType]: { schema } } }
}

export function empty(description: string, headers = {}): object {
  return { description, headers, type: 'null' }
}

const text = (description: string) => Type.String({ description })

const contextHeader = {
  'Causal-Context': text('What the client has seen of the key from now on; opaque')
}
const replicasHeader = { 'X-Replicas': text('Replicas that answered / were asked') }
const writeHeaders = { ...contextHeader, ...replicasHeader, ETag: text('Names this write') }
const hintedHeader = {
  'X-Hinted': text('How many of those that answered stood in for a replica; absent where none did')
}
const valueHeaders = {
  ...writeHeaders,
  'Last-Modified': text('When it was written'),
  'X-Meta-*': text('As they were written')
}

const sibling = Type.Object({
  value: Type.String({ description: 'base64' }),
  contentType: Type.String(),
  lastModified: Type.String({ format: 'date-time' }),
  meta: Type.Record(Type.String(), Type.String()),
  etag: Type.String()
})

const siblings = Type.Object({
  detail: Type.String({ description: 'What this means, and how to settle it' }),
  siblings: Type.Array(sibling)
})

const bytes = Type.Unsafe({ type: 'string', format: 'binary' })

const readFailures = ['not_ready', 'overloaded', 'quorum_unavailable', 'timeout'] as const
const writeFailures = [...readFailures, 'too_many_siblings', 'disk_full'] as const

const oneValue = answer('The value, with the Content-Type that it has', '*/*', bytes, valueHeaders)
const severalValues = {
  description: 'Siblings: values from writes that had not seen each other',
  headers: { ...contextHeader, ...replicasHeader, ETag: text('Names this set of siblings') },
  content: {
    'application/json': { schema: siblings },
    'multipart/mixed': { schema: bytes }
  }
}

export const readAnswers: Answers = {
  200: oneValue,
  300: severalValues,
  304: empty('The ETag of If-None-Match still holds', writeHeaders),
  ...problems('bad_key', 'bad_context', 'bad_parameter', 'not_found', ...readFailures, 'stale')
}

const writeProblems = problems(
  'bad_key',
  'bad_context',
  'bad_parameter',
  'precondition_failed',
  ...writeFailures
)

export const putAnswers: Answers = {
  200: {
    ...oneValue,
    description: 'With ?return=body: the value as it is now',
    headers: { ...valueHeaders, ...hintedHeader }
  },
  204: empty('Written', { ...writeHeaders, ...hintedHeader }),
  300: { ...severalValues, description: 'With ?return=body: the siblings as they are now' },
  ...writeProblems,
  ...problems('value_too_large')
}

export const deleteAnswers: Answers = {
  204: empty('Deleted, or nothing was there', { ...writeHeaders, ...hintedHeader }),
  ...writeProblems
}

const keyPage = Type.Object({
  keys: Type.Array(Type.String()),
  cursor: Type.Union([Type.String(), Type.Null()], { description: 'null at the end' })
})

export const listAnswers: Answers = {
  200: {
    description: 'Keys in no particular order',
    headers: { 'X-Cursor': text('As `cursor` in the body; absent at the end') },
    content: {
      'application/json': { schema: keyPage },
      'application/x-ndjson': { schema: Type.String({ description: '{"key":…} a line' }) }
    }
  },
  ...problems('bad_key', 'bad_parameter', ...readFailures)
}

const batchResult = Type.Object(
  { status: Type.Integer({ description: 'As the call alone would have had' }) },
  { description: 'For a get the fields of a sibling, or siblings; for an error those of a problem' }
)

const batchPage = Type.Object({ atomic: Type.Literal(false), results: Type.Array(batchResult) })

export const batchAnswers: Answers = {
  200: answer('A result for each operation, in order', 'application/json', batchPage),
  ...problems('bad_body', 'bad_parameter', 'value_too_large', 'not_ready', 'overloaded')
}

const quorumShown = Type.Union([Type.Integer(), Type.String(), Type.Null()])

const bucket = Type.Object({
  bucket: Type.String(),
  conflict: Type.Union([Type.Literal('siblings'), Type.Literal('lww')]),
  ttl: Type.Union([Type.Integer(), Type.Null()], { description: 'Seconds' }),
  r: quorumShown,
  w: quorumShown
})

const bucketList = Type.Object({ buckets: Type.Array(bucket) })

export const bucketAnswers: Answers = {
  200: answer('The properties', 'application/json', bucket),
  ...problems('bad_key')
}
export const bucketListAnswers: Answers = {
  200: answer('The buckets', 'application/json', bucketList)
}
export const bucketPutAnswers: Answers = {
  ...bucketAnswers,
  ...problems('bad_key', 'bad_body', 'quorum_unavailable')
}
export const bucketDeleteAnswers: Answers = {
  204: empty('The defaults hold again'),
  ...problems('bad_key', 'quorum_unavailable')
}

const nodeStatus = Type.Object({
  id: Type.String(),
  version: Type.String(),
  state: Type.String(),
  uptimeSeconds: Type.Integer()
})

const memberStatus = Type.Object({
  id: Type.String(),
  http: Type.String(),
  peer: Type.String(),
  zone: Type.String(),
  region: Type.String(),
  weight: Type.Number(),
  state: Type.String(),
  up: Type.Boolean({ description: 'As this node sees it' })
})

const status = Type.Object({
  node: nodeStatus,
  cluster: Type.Object({
    name: Type.String(),
    epoch: Type.String({ description: 'Names the ring: equal where the member sets are' }),
    partitions: Type.Integer(),
    members: Type.Array(memberStatus)
  }),
  hints: Type.Object({
    count: Type.Integer({ description: 'Objects that wait here for others' }),
    bytes: Type.Integer(),
    oldestSeconds: Type.Union([Type.Number(), Type.Null()]),
    targets: Type.Array(Type.Object({ target: Type.String(), count: Type.Integer() }))
  }),
  repair: Type.Object({
    state: Type.String(),
    reason: Type.Union([Type.String(), Type.Null()]),
    oldestEqualSeconds: Type.Union([Type.Integer(), Type.Null()], {
      description: 'null: some replicas were never found equal'
    }),
    neverEqual: Type.Integer(),
    exchangesInFlight: Type.Integer(),
    partitions: Type.Record(Type.String(), Type.Integer())
  })
})

const ring = Type.Object({
  epoch: Type.String(),
  partitions: Type.Array(
    Type.Object({
      id: Type.Integer(),
      replicas: Type.Array(Type.String(), { description: 'The owner first' }),
      pending: Type.Array(Type.String())
    })
  )
})

const inspectedVersion = Type.Object({
  etag: Type.String(),
  dot: Type.String(),
  tombstone: Type.Boolean(),
  lastModified: Type.String({ format: 'date-time' }),
  expires: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
  bytes: Type.Integer()
})

const inspected = Type.Object({
  partition: Type.Integer(),
  leaf: Type.Integer(),
  replicas: Type.Array(
    Type.Object({
      node: Type.String(),
      state: Type.Union(
        ['ok', 'missing', 'damaged', 'unreachable'].map((state) => Type.Literal(state))
      ),
      digest: Type.Union([Type.String(), Type.Null()]),
      versions: Type.Array(inspectedVersion)
    })
  )
})

export const statusAnswers: Answers = { 200: answer('The status', 'application/json', status) }
export const ringAnswers: Answers = { 200: answer('The ring', 'application/json', ring) }
export const keyAnswers: Answers = {
  200: answer('The replicas side by side', 'application/json', inspected),
  ...problems('bad_key')
}
export const keyRepairAnswers: Answers = {
  200: answer('The replicas side by side, as they are afterwards', 'application/json', inspected),
  ...problems('bad_key', 'not_ready', 'quorum_unavailable', 'timeout')
}

const plain = Type.String()

export const liveAnswers: Answers = { 200: answer('The process runs', 'text/plain', plain) }
export const readyAnswers: Answers = {
  200: answer('The node serves data', 'text/plain', plain),
  503: answer('It does not; the checks say why', 'text/plain', plain)
}
export const metricsAnswers: Answers = { 200: answer('The exposition format', 'text/plain', plain) }
