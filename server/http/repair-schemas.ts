import { Type } from 'typebox'
import { type Answers, answer, problems } from './response-schemas.ts'

/** The calls about repair, hints and trees: what they take, and what they answer with. */

const closed = { additionalProperties: false } as const
const partitionsMax = 65_536

export const repairBody = Type.Object(
  {
    mode: Type.Optional(Type.Union([Type.Literal('incremental'), Type.Literal('full')])),
    dryRun: Type.Optional(Type.Boolean()),
    partitions: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0, maximum: partitionsMax - 1 }), {
        maxItems: partitionsMax,
        description: 'Only these; all unless given'
      })
    )
  },
  closed
)

export const runParams = Type.Object({
  id: Type.String({ description: 'From POST /admin/repair' })
})

export const treesQuery = Type.Object(
  {
    verify: Type.Optional(
      Type.Boolean({ description: 'Recompute from the rows, which takes a while' })
    )
  },
  closed
)

const time = Type.Union([Type.String({ format: 'date-time' }), Type.Null()])
const reason = Type.Union([Type.String(), Type.Null()], { description: 'For people' })
const counts = {
  keysCompared: Type.Integer(),
  differences: Type.Integer({ description: 'Keys that differed' }),
  rowsSent: Type.Integer(),
  rowsReceived: Type.Integer(),
  rowsToShip: Type.Integer({ description: 'Known to be missing on one side, not shipped yet' }),
  bytesSent: Type.Integer({ description: 'Of rows' }),
  bytesReceived: Type.Integer({ description: 'Of rows' }),
  indexBytes: Type.Integer({ description: 'On the wire in both directions, but for the rows' }),
  dataBytes: Type.Integer({ description: 'Of rows, in both directions' }),
  roundTrips: Type.Integer(),
  quarantined: Type.Integer(),
  refused: Type.Integer()
}

export const runSchema = Type.Object({
  id: Type.String(),
  mode: Type.String(),
  dryRun: Type.Boolean(),
  state: Type.Union([
    Type.Literal('running'),
    Type.Literal('done'),
    Type.Literal('failed'),
    Type.Literal('cancelled')
  ]),
  reason,
  partitions: Type.Object(
    { done: Type.Integer(), total: Type.Integer() },
    { description: 'Pairs of a partition and a peer' }
  ),
  skipped: Type.Array(Type.String(), { description: 'Members that could not be reached' }),
  ...counts,
  startedAt: time,
  finishedAt: time,
  etaSeconds: Type.Union([Type.Number(), Type.Null()])
})

const pair = Type.Object({
  partition: Type.Integer(),
  peer: Type.String(),
  state: Type.Union([
    Type.Literal('equal'),
    Type.Literal('differs'),
    Type.Literal('running'),
    Type.Literal('waiting'),
    Type.Literal('never')
  ]),
  lastRepaired: time,
  differences: Type.Integer(),
  rowsSent: Type.Integer(),
  rowsReceived: Type.Integer(),
  bytesSent: Type.Integer(),
  bytesReceived: Type.Integer(),
  exchanges: Type.Integer(),
  roundTrips: Type.Integer(),
  reason
})

export const backgroundSchema = Type.Object({
  state: Type.Union([Type.Literal('running'), Type.Literal('slowed'), Type.Literal('paused')]),
  reason,
  bytesPerSecond: Type.Integer(),
  bytesPerSecondMax: Type.Integer(),
  foregroundP99Ms: Type.Union([Type.Number(), Type.Null()]),
  eventLoopDelayMs: Type.Number(),
  intervalSeconds: Type.Number()
})

export const exchangeSchema = Type.Object({
  peer: Type.String(),
  run: Type.Union([Type.String(), Type.Null()]),
  partitions: Type.Integer(),
  startedAt: time,
  ...counts
})

/** See `WatermarkReport`. */
export const watermarksSchema = Type.Object(
  {
    partitions: Type.Integer({ description: 'Those that this node holds' }),
    unproven: Type.Integer({ description: 'Some pair of replicas has proven nothing yet' }),
    heldUp: Type.Integer({ description: 'Some pair has not proven all that was written' }),
    behind: Type.Integer({ description: 'Peers have proven more than this node can answer for' }),
    oldestSeconds: Type.Union([Type.Integer(), Type.Null()], {
      description: 'For how long, at the most, the one that waits longest has been held up'
    }),
    pairs: Type.Array(
      Type.Object({
        nodes: Type.Array(Type.String(), { minItems: 2, maxItems: 2 }),
        unproven: Type.Integer(),
        notUpToDate: Type.Integer()
      }),
      { description: 'The pairs of replicas that hold them up, with the number of partitions' }
    ),
    membersUnheard: Type.Array(Type.String(), {
      description: 'Members that no report was ever heard of'
    })
  },
  { description: 'What is known to have reached all replicas, and what keeps it from rising' }
)

const repair = Type.Object({
  background: backgroundSchema,
  summary: Type.Object({
    oldestEqualSeconds: Type.Union([Type.Number(), Type.Null()], {
      description: 'null: some were never found equal'
    }),
    neverEqual: Type.Integer(),
    partitions: Type.Record(Type.String(), Type.Integer(), { description: 'By state' })
  }),
  peers: Type.Array(
    Type.Object({
      peer: Type.String(),
      up: Type.Boolean(),
      partitions: Type.Integer(),
      early: Type.Integer({ description: 'To be compared before their time' }),
      reason
    })
  ),
  exchanges: Type.Array(exchangeSchema),
  runs: Type.Array(
    Type.Object({
      id: Type.String(),
      state: Type.String(),
      mode: Type.String(),
      startedAt: time,
      finishedAt: time
    })
  ),
  partitions: Type.Array(pair),
  watermarks: watermarksSchema
})

export const hintsSchema = Type.Array(
  Type.Object({
    target: Type.String(),
    count: Type.Integer(),
    bytes: Type.Integer(),
    oldestSeconds: Type.Union([Type.Number(), Type.Null()])
  })
)

const trees = Type.Array(
  Type.Object({
    partition: Type.Integer(),
    keys: Type.Integer(),
    root: Type.String({ description: 'Hexadecimal' }),
    verified: Type.Optional(Type.Boolean()),
    leaves: Type.Optional(
      Type.Array(Type.Integer(), { description: 'Those that differed from the rows' })
    )
  })
)

const json = 'application/json'

export const repairAnswers: Answers = { 200: answer('Repair on this node', json, repair) }
export const repairStartAnswers: Answers = {
  202: answer('It runs', json, Type.Object({ id: Type.String() })),
  ...problems('bad_body', 'bad_parameter', 'overloaded', 'not_ready')
}
export const runAnswers: Answers = {
  200: answer('The repair', json, runSchema),
  ...problems('not_found')
}
export const backgroundAnswers: Answers = {
  200: answer('Background repair as it is now', json, backgroundSchema)
}
export const hintsAnswers: Answers = {
  200: answer('What waits for other nodes here', json, hintsSchema)
}
export const treesAnswers: Answers = {
  200: answer('The trees of the partitions of this node', json, trees),
  ...problems('bad_parameter', 'not_ready')
}
