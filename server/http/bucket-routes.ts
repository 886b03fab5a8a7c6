import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { AnnealError } from '../../core/errors.ts'
import { majority } from '../../ring/bucket-record.ts'
import type { BucketProperties, QuorumSpec } from '../../ring/cluster-document.ts'
import { replicaCount } from '../coordinator/quorum.ts'
import type { Node } from '../node.ts'
import {
  bucketAnswers,
  bucketDeleteAnswers,
  bucketListAnswers,
  bucketPutAnswers
} from './response-schemas.ts'
import { bucketBody, bucketParams } from './schemas.ts'

/** `/buckets`: the properties of buckets, which every node holds. */
export function registerBucketRoutes(app: FastifyInstance, node: Node): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { cluster } = node
  const { n, regions } = node.config.replication
  const replicas = replicaCount(
    regions === null ? { n } : { regions: new Map(Object.entries(regions)) }
  )

  const listSchema = {
    summary: 'Buckets with properties of their own',
    tags: ['buckets'],
    response: bucketListAnswers
  }
  routes.get('/buckets', { schema: listSchema }, () => ({
    buckets: [...cluster.document.buckets]
      .filter(([, { properties }]) => properties !== null)
      .map(([bucket, { properties }]) => describe(bucket, properties))
  }))

  const getSchema = {
    summary: 'The properties of a bucket',
    tags: ['buckets'],
    params: bucketParams,
    response: bucketAnswers
  }
  routes.get('/buckets/:bucket', { schema: getSchema }, (request) => {
    const { bucket } = request.params
    node.data.checkName('bucket', bucket)
    return describe(bucket, cluster.propertiesOf(bucket))
  })

  const putSchema = {
    summary: 'Set the properties of a bucket',
    tags: ['buckets'],
    params: bucketParams,
    body: bucketBody,
    response: bucketPutAnswers
  }
  routes.put('/buckets/:bucket', { schema: putSchema }, async (request) => {
    const { bucket } = request.params
    node.data.checkName('bucket', bucket)
    const { conflict, ttl, r, w } = request.body
    const properties = {
      conflict: conflict ?? 'siblings',
      ttlSeconds: ttl ?? null,
      r: quorumOf('r', r, replicas),
      w: quorumOf('w', w, replicas)
    }
    await change(node, bucket, properties)
    return describe(bucket, properties)
  })

  const deleteSchema = {
    summary: 'Take the properties of a bucket back to the defaults',
    tags: ['buckets'],
    params: bucketParams,
    response: bucketDeleteAnswers
  }
  routes.delete('/buckets/:bucket', { schema: deleteSchema }, async (request, reply) => {
    const { bucket } = request.params
    node.data.checkName('bucket', bucket)
    if (cluster.document.buckets.has(bucket)) await change(node, bucket, null)
    return reply.code(204).send()
  })
}

/** Answers once a majority of the members have the new properties on disk. */
async function change(
  node: Node,
  bucket: string,
  properties: BucketProperties | null
): Promise<void> {
  const { cluster, peers, config } = node
  cluster.setBucket(bucket, properties)
  await cluster.persisted
  const members = [...cluster.document.members.values()].filter(({ state }) => state !== 'removed')
  const needed = majority(members.length)
  const others = members.filter(({ id }) => id !== node.id)
  const timeoutMs = config.http.defaultTimeoutMs
  const answered = await peers.spreadDocument(
    others.map(({ id }) => id),
    needed - 1,
    timeoutMs
  )
  if (answered + 1 >= needed) return
  throw new AnnealError(
    'quorum_unavailable',
    `the properties of the bucket reached ${answered + 1} of ${members.length} nodes and need ${needed}; they may still spread`,
    {
      needed,
      answered: answered + 1,
      asked: members.length
    }
  )
}

function describe(bucket: string, properties: BucketProperties | null) {
  const { conflict, ttlSeconds, r, w } = properties ?? {
    conflict: 'siblings',
    ttlSeconds: null,
    r: null,
    w: null
  }
  return { bucket, conflict, ttl: ttlSeconds, r, w }
}

/** Refused here, since with a number that no key has replicas for every request to the bucket would fail. */
function quorumOf(
  field: 'r' | 'w',
  value: string | number | undefined,
  replicas: number
): QuorumSpec | null {
  if (value === undefined) return null
  const isNumber = typeof value === 'number' || /^\d/.test(value)
  if (isNumber && Number(value) > replicas) {
    throw new AnnealError(
      'bad_body',
      `${field} is ${value}, and a key has ${replicas} replicas: give a number from 1 to ${replicas}`,
      { field }
    )
  }
  return isNumber ? Number(value) : (value as QuorumSpec)
}
