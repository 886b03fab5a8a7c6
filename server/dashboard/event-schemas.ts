import { type Static, Type } from 'typebox'
import {
  backgroundSchema,
  exchangeSchema,
  hintsSchema,
  runSchema,
  watermarksSchema
} from '../http/repair-schemas.ts'
import { type Answers, problems } from '../http/response-schemas.ts'

/** The documents of `GET /admin/events`. Their shapes are fixed: fields are only ever added. */

const closed = { additionalProperties: false } as const
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

export const ringEvent = Type.Object(
  {
    epoch: Type.String({ description: 'Names the ring' }),
    nodes: Type.Array(Type.String(), { description: 'All that hold something' }),
    replicas: Type.Array(Type.Array(Type.Integer()), {
      description: 'For each partition the positions of its replicas in `nodes`, the owner first'
    })
  },
  { ...closed, description: 'event: ring' }
)

export const partitionsEvent = Type.Object(
  {
    partitions: Type.Array(
      Type.Object(
        {
          id: Type.Integer(),
          state: Type.Union(
            [
              Type.Literal('equal'),
              Type.Literal('differs'),
              Type.Literal('running'),
              Type.Literal('waiting'),
              Type.Literal('never')
            ],
            { description: 'The worst of all its other replicas' }
          ),
          equalAt: Type.Union([Type.Integer(), Type.Null()], {
            description:
              'Seconds since 1970 of the oldest proof that it was equal; null: never with some replica'
          })
        },
        closed
      )
    )
  },
  { ...closed, description: 'event: partitions; those that this node holds together with others' }
)

const view = Type.Object(
  {
    release: Type.String(),
    state: Type.String(),
    uptimeSeconds: Type.Integer(),
    epoch: Type.String(),
    up: Type.Array(Type.String(), { description: 'The members that it sees up' }),
    down: Type.Array(Type.String(), { description: 'The members that it sees down' }),
    hints: Type.Integer({ description: 'Objects that wait there for others' }),
    quarantined: Type.Integer(),
    repairHeld: Type.String({ description: 'Why its background repair begins nothing; or empty' })
  },
  closed
)

const member = Type.Object(
  {
    id: Type.String(),
    http: Type.String(),
    zone: Type.String(),
    region: Type.String(),
    state: Type.String(),
    up: Type.Boolean({ description: 'As this node sees it' }),
    view: orNull(view)
  },
  closed
)

const requests = Type.Object(
  {
    perSecond: Type.Record(Type.String(), Type.Number(), { description: 'By operation' }),
    p50Ms: orNull(Type.Number()),
    p99Ms: orNull(Type.Number())
  },
  { ...closed, description: 'Data requests at this node within the last second' }
)

const totals = Type.Object(
  {
    differences: Type.Integer(),
    rows: Type.Integer({ description: 'Shipped in exchanges that this node began' }),
    dataBytes: Type.Integer(),
    indexBytes: Type.Integer(),
    roundTrips: Type.Integer(),
    exchanges: Type.Integer()
  },
  { ...closed, description: 'Of repair since this node started' }
)

const peer = Type.Object({
  peer: Type.String(),
  up: Type.Boolean(),
  partitions: Type.Integer(),
  early: Type.Integer({ description: 'To be compared before their time' }),
  reason: orNull(Type.String())
})

export const stateEvent = Type.Object(
  {
    at: Type.Integer({ description: 'Milliseconds since 1970, by the clock of this node' }),
    node: Type.Object(
      {
        id: Type.String(),
        version: Type.String(),
        state: Type.String(),
        uptimeSeconds: Type.Integer()
      },
      closed
    ),
    cluster: Type.Object(
      { name: Type.String(), epoch: Type.String(), partitions: Type.Integer() },
      closed
    ),
    members: Type.Array(member),
    requests,
    repair: Type.Object(
      {
        background: backgroundSchema,
        isPaused: Type.Boolean({ description: 'By an operator' }),
        isEnabled: Type.Boolean({ description: 'By the settings' }),
        oldestEqualSeconds: orNull(Type.Number()),
        neverEqual: Type.Integer(),
        pairs: Type.Record(Type.String(), Type.Integer(), { description: 'By state' }),
        peers: Type.Array(peer),
        exchanges: Type.Array(exchangeSchema),
        runs: Type.Array(runSchema, { description: 'The latest first; up to five' }),
        totals
      },
      closed
    ),
    hints: hintsSchema,
    watermarks: watermarksSchema,
    quarantine: Type.Object({ count: Type.Integer(), bytes: Type.Integer() }, closed),
    damage: Type.Object(
      {
        rows: Type.Integer(),
        unreadableSlices: Type.Integer(),
        leaves: Type.Integer(),
        scrubbedRows: Type.Integer(),
        scrubRounds: Type.Integer()
      },
      { ...closed, description: 'Found since this node started' }
    ),
    alarms: Type.Array(
      Type.Object(
        {
          severity: Type.Union([Type.Literal('problem'), Type.Literal('notice')]),
          text: Type.String()
        },
        closed
      ),
      { description: 'What an operator should look at, in words' }
    )
  },
  { ...closed, description: 'event: state' }
)

export type RingEvent = Static<typeof ringEvent>
export type PartitionsEvent = Static<typeof partitionsEvent>
export type StateEvent = Static<typeof stateEvent>

export const eventAnswers: Answers = {
  200: {
    description:
      'Server-sent events, everything at once and then what changes: `ring`, `partitions` and, every second, `state`. The data of each is one JSON document',
    content: {
      'text/event-stream': {
        schema: Type.Union([ringEvent, partitionsEvent, stateEvent])
      }
    }
  },
  ...problems('overloaded', 'not_ready')
}
