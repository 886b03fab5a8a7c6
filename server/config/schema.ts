import { type Static, Type } from 'typebox'
import {
  keyBytesCeiling,
  membersMax,
  siblingsCeiling,
  valueBytesCeiling
} from '../../core/limits.ts'
import {
  addressList,
  advertisedAddress,
  byteSize,
  choice,
  counts,
  derivedByteSize,
  durationMs,
  flag,
  fraction,
  integer,
  integerOneOf,
  listenAddress,
  name,
  optionalName,
  quorum,
  secret,
  text
} from './setting-kinds.ts'

const kibi = 1024
const mebi = 1024 * kibi
const gibi = 1024 * mebi
const tebi = 1024 * gibi
const secondMs = 1000
const hourMs = 3600 * secondMs
const yearMs = 365 * 24 * hourMs
const replicasMax = 16

/**
 * Below 8 not even three nodes can share the ring within 10 %. Every partition of a node costs a hash tree of 1024
 * leaves, about 20 KiB: 4096 of them take 80 MiB, which is as much as a small node should spend on them.
 */
const partitionCounts = [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]

const group = { additionalProperties: false } as const
const replicas = { minimum: 1, maximum: replicasMax } as const

/**
 * Every setting once: its type, limits, default and meaning. Validation, the type `Config`, the published JSON Schema
 * and the reference table all come from here.
 */
export const configSchema = Type.Object(
  {
    node: Type.Object(
      {
        id: name('n1', 'The name of this node, unique in the cluster and for ever.'),
        data: text(
          './anneal-data/{id}',
          'Where this node keeps its data; `{id}` stands for `node.id`.'
        ),
        http: listenAddress('127.0.0.1:8801', 'Where clients are served.'),
        peer: listenAddress('127.0.0.1:9801', 'Where the other nodes are served.'),
        advertiseHttp: advertisedAddress(
          'What others are told to be the HTTP address; null: the one that is listened on.'
        ),
        advertisePeer: advertisedAddress(
          'What other nodes are told to connect to; null: the address that is listened on.'
        ),
        zone: optionalName('The zone (rack, room) of this node; replicas are spread over zones.'),
        region: optionalName('The region of this node.'),
        weight: integer(
          { minimum: 1, maximum: 1000 },
          1,
          'The share of the ring, relative to the others.'
        )
      },
      group
    ),
    seeds: addressList('Peer addresses to find the cluster by; the own one may be among them.'),
    cluster: Type.Object(
      {
        name: name('anneal', 'Nodes with different names refuse each other.'),
        secret: secret(
          'Nodes with different secrets refuse each other; without one only loopback addresses are allowed.'
        ),
        insecure: flag(false, 'Allow addresses that are not loopback without a secret.'),
        partitions: integerOneOf(
          partitionCounts,
          256,
          'Equal ranges of the ring; fixed when the cluster is created.'
        ),
        heartbeatMs: durationMs(
          { minimum: 100, maximum: 60_000 },
          1000,
          'How often nodes tell each other that they are up; three missed ones, and a node counts as down. As often they look what there is to do in the background, but at most once a second and at least every ten.'
        ),
        expectedNodes: integer(
          { minimum: 0, maximum: membersMax },
          0,
          '0: become ready alone; otherwise become ready once that many members are known.'
        )
      },
      group
    ),
    replication: Type.Object(
      {
        n: integer(replicas, 3, 'Replicas of every key.'),
        regions: counts(replicas, 'Replicas in each region, instead of `n`.'),
        r: quorum(replicas, 'Replicas that must answer a read; `quorum` is a majority, 2 of 3.'),
        w: quorum(
          replicas,
          'Replicas that must have stored a write; `quorum` is a majority, 2 of 3.'
        ),
        sloppy: flag(true, 'Other nodes may stand in for replicas that cannot be reached.')
      },
      group
    ),
    durability: choice(
      ['fsync', 'os'],
      'fsync',
      '`fsync`: acknowledged means on disk; `os`: handed to the operating system.'
    ),
    hints: Type.Object(
      {
        enabled: flag(
          true,
          'Keep writes for replicas that did not answer, and hand them over later.'
        ),
        maxBytesPerTarget: byteSize(
          { minimum: 0, maximum: tebi },
          256 * mebi,
          'Room for one target.'
        ),
        maxAgeMs: durationMs(
          { maximum: yearMs },
          3 * hourMs,
          'Hints older than this go to a majority of the replicas once it can be reached, and are left to repair.'
        )
      },
      group
    ),
    readRepair: Type.Object(
      {
        mode: choice(
          ['off', 'async', 'sync'],
          'async',
          'Whether a read repairs stale replicas, and whether its answer waits for it.'
        ),
        probability: fraction(
          { minimum: 0, maximum: 1 },
          0.1,
          'The chance that a read consults all replicas.'
        ),
        waitMs: durationMs({}, 50, 'How long a read waits for its repair with `sync`.')
      },
      group
    ),
    repair: Type.Object(
      {
        enabled: flag(true, 'Background anti-entropy.'),
        intervalMs: durationMs(
          { minimum: 100 },
          60 * secondMs,
          'Between two rounds with one peer.'
        ),
        concurrency: integer({ minimum: 1, maximum: 64 }, 2, 'Sessions at the same time.'),
        maxBytesPerSecond: byteSize(
          { minimum: kibi, maximum: tebi },
          16 * mebi,
          'Hard cap of this node.'
        ),
        maxBytesPerSecondAcrossRegions: byteSize(
          { minimum: kibi, maximum: tebi },
          4 * mebi,
          'Hard cap of this node towards other regions.'
        ),
        latencyTargetMs: durationMs(
          { minimum: 1 },
          50,
          'The foreground p99 above which repair slows down and then pauses.'
        ),
        scrubRowsPerSecond: integer(
          { minimum: 0, maximum: 1_000_000 },
          1000,
          'How fast stored rows are read again and checked against the hash trees; 0: never.'
        )
      },
      group
    ),
    tombstones: Type.Object(
      {
        graceMs: durationMs(
          { maximum: 10 * yearMs },
          24 * hourMs,
          'No tombstone is collected before this age, nor before every replica is proven to have it.'
        )
      },
      group
    ),
    limits: Type.Object(
      {
        maxValueBytes: byteSize(
          { minimum: 1, maximum: valueBytesCeiling },
          mebi,
          'The largest value.'
        ),
        maxKeyBytes: byteSize(
          { minimum: 1, maximum: keyBytesCeiling },
          kibi,
          'The longest key and the longest bucket name.'
        ),
        maxSiblings: integer(
          { minimum: 1, maximum: siblingsCeiling },
          64,
          'Concurrent values of one key; a write beyond it is refused.'
        ),
        maxInFlightRequests: integer(
          { minimum: 1, maximum: 1_000_000 },
          1024,
          'Requests being served at the same time; further ones are answered 503.'
        ),
        maxInFlightBytes: byteSize(
          { minimum: kibi, maximum: tebi },
          32 * mebi,
          'Bodies being held at the same time; further requests are answered 503.'
        ),
        maxConnections: integer(
          { minimum: 1, maximum: 1_000_000 },
          20_000,
          'Open HTTP connections.'
        ),
        minFreeDiskBytes: derivedByteSize(
          { minimum: 0, maximum: 1024 * tebi },
          'Writes are refused below this; null: the smaller of 256 MiB and 5 % of the file system.'
        )
      },
      group
    ),
    http: Type.Object(
      {
        requestTimeoutMs: durationMs({ minimum: 1 }, 30_000, 'For receiving one whole request.'),
        defaultTimeoutMs: durationMs(
          { minimum: 1 },
          5000,
          'For data calls that name no `timeout`.'
        ),
        drainMs: durationMs({}, 5000, 'How long a stopping node lets requests finish.')
      },
      group
    ),
    storage: Type.Object(
      {
        cacheBytes: byteSize(
          { minimum: 0, maximum: tebi },
          8 * mebi,
          'Block cache of the database.'
        ),
        rowCacheBytes: byteSize(
          { minimum: 0, maximum: 16 * gibi },
          64 * mebi,
          'Rows that were read lately, for a request or for the write that replaces them, which are kept beside the block cache; 0: none.'
        ),
        writeBufferBytes: byteSize(
          { minimum: 64 * kibi, maximum: gibi },
          8 * mebi,
          'What the database collects in memory before it writes a table.'
        ),
        maxOpenTables: integer(
          { minimum: 16, maximum: 1000 },
          64,
          'Tables of 2 MiB that the database keeps mapped into memory; with more of them random reads of a large store are faster and the process is larger.'
        )
      },
      group
    ),
    log: Type.Object(
      {
        level: choice(
          ['debug', 'info', 'warn', 'error'],
          'info',
          'The least important events to log.'
        ),
        pretty: flag(false, 'Lines for people instead of JSON.')
      },
      group
    )
  },
  { ...group, title: 'Configuration of an Anneal node' }
)

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

/** All settings of a node with every default filled in; sizes in bytes, durations in milliseconds. */
export type Config = DeepReadonly<Static<typeof configSchema>>
