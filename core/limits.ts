import { assert } from './assert.ts'

/**
 * Limits that are part of the formats and the protocol: the same on every node, not settings. Limits that an operator
 * may set are in server/config. The relations between them are asserted below.
 */

const kibi = 1024
const mebi = 1024 * kibi

/** Values up to this size live inside their row; larger ones in a row of their own. */
export const inlineValueBytesMax = 4 * kibi

/** Hard ceiling for `limits.maxValueBytes`. */
export const valueBytesCeiling = 64 * mebi

/** Hard ceiling for `limits.maxKeyBytes`, for keys and for bucket names. */
export const keyBytesCeiling = 16 * kibi

/** Hard ceiling for `limits.maxSiblings`. */
export const siblingsCeiling = 1024

/** A message larger than this goes over the bulk channel. */
export const smallMessageBytesMax = 64 * kibi

/** Frames produced in one turn are sent as one message until it would become larger than this. */
export const batchBytesMax = 256 * kibi

/** What one peer message may hold at the most, in both directions: an object with several of the largest values. */
export const messageBytesMax = 256 * mebi

/** Requests that one link keeps in flight before further ones are refused as overloaded. */
export const linkRequestsInFlightMax = 4096

/** Rows that an iterator reads before it is closed. */
export const sliceRowsMax = 256

/**
 * Bytes that the values of one key may have together before a write that adds to them is refused. Three replicas that
 * each took as much without hearing of the others still have an object that fits a message.
 */
export const objectBytesMax = 64 * mebi

/** Whatever the limits, the values of a key may be so many of the largest size. */
export const largestValuesPerObject = 3

/**
 * Leaves of a partition's hash tree, four under each node of the lowest inner level, and the inner levels 16-way: a
 * difference is found in three steps down, and a leaf of a partition with 4,000 keys lists four of them.
 */
export const leavesPerPartition = 1024
export const treeFanOut = 16
export const leavesPerNode = 4

/** Members of a cluster, the removed ones included: with so many nobody new joins. */
export const membersMax = 1024

/** Buckets with properties of their own: with so many no other bucket is given any. */
export const bucketsMax = 4096

/** Records of buckets, with those of buckets that were taken back to the defaults. */
export const bucketRecordsMax = 4 * bucketsMax

/**
 * What a cluster document holds at the most. Nodes that do not see each other may each add the last record that there is
 * room for, or a cluster's worth of them, and what merging makes of it must be readable everywhere.
 */
export const documentMembersMax = 16 * membersMax
export const documentBucketsMax = 4 * bucketRecordsMax

/** Content type, and each name and value of a meta header. */
export const contentTypeBytesMax = 256
export const metaEntriesMax = 32
export const metaBytesMax = 4 * kibi

/** Operations in one batch request. */
export const batchOperationsMax = 1000

/** Entries of a version vector; beyond it a row is damaged or forged. */
export const vectorEntriesMax = 65536

/**
 * Entries of a key's context above which a write must have seen all that is there: as many as clients take in a header,
 * 16 KiB with all others. No value is written above twice as many, which is the most that a token is sure to carry.
 */
export const contextEntriesMax = 512

assert(
  leavesPerPartition === treeFanOut * treeFanOut * leavesPerNode,
  'the leaves are what three levels reach'
)
assert(inlineValueBytesMax < smallMessageBytesMax, 'inline values travel with the small messages')
assert(smallMessageBytesMax <= batchBytesMax, 'a small message fits a batch')
assert(
  valueBytesCeiling * largestValuesPerObject < messageBytesMax,
  'a message holds the largest values that a key always has room for'
)
assert(contextEntriesMax * 2 < vectorEntriesMax, 'a key with the longest context can be deleted')
assert(objectBytesMax * 3 < messageBytesMax, 'a message holds what three replicas took apart')
