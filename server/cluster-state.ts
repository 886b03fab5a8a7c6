import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { asBuffer, equalBytes } from '../core/bytes.ts'
import { AnnealError } from '../core/errors.ts'
import { bucketRecordsMax, bucketsMax, membersMax } from '../core/limits.ts'
import type { Log } from '../core/ports.ts'
import { decodeDocument, encodeDocument } from '../proto/document-codec.ts'
import { ClusterDocumentSchema } from '../proto/gen/anneal/peer/v1/peer_pb.ts'
import {
  type BucketProperties,
  type BucketRecord,
  type ClusterDocument,
  documentDigest,
  type Member,
  mergeDocuments
} from '../ring/cluster-document.ts'
import { buildRing, type Ring, type RingOptions } from '../ring/ring.ts'
import type { ConflictMode } from '../storage/version.ts'

export interface ClusterStateOptions {
  readonly self: Omit<Member, 'version' | 'state' | 'joinedAt' | 'removedAt'>
  readonly ring: RingOptions
  /** Replicas of a key: a cluster with fewer members takes new ones in without moving anything. */
  readonly replicas: number
  readonly log: Log
  /** Writes the document down; resolves once it is durable. */
  readonly persist: (document: Uint8Array) => Promise<void>
  /** After every change, with the document already given to `persist`. */
  readonly onChange: () => void
}

const emptyDocument: ClusterDocument = { members: new Map(), buckets: new Map(), sealed: false }

export const defaultProperties: BucketProperties = {
  conflict: 'siblings',
  ttlSeconds: null,
  r: null,
  w: null
}

/**
 * What this node knows of the cluster: the mergeable document, and the ring that follows from it. Two nodes with the
 * same document have the same ring, which the epoch on every peer message checks.
 */
export class ClusterState {
  readonly #options: ClusterStateOptions
  #document: ClusterDocument
  #digest: string
  #ring: Ring
  #warned = false
  #lastBucket = new Uint8Array()
  /** Null where the document has changed since. */
  #lastMode: ConflictMode | null = null
  #persisted: Promise<void> = Promise.resolve()

  /** `stored` is what `persist` was last given, null on a new data directory. */
  constructor(options: ClusterStateOptions, stored: Uint8Array | null) {
    this.#options = options
    this.#document = stored === null ? emptyDocument : parseDocument(stored)
    this.#digest = documentDigest(this.#document)
    this.#ring = buildRing(this.#document.members.values(), options.ring)
  }

  get document(): ClusterDocument {
    return this.#document
  }

  get digest(): string {
    return this.#digest
  }

  get ring(): Ring {
    return this.#ring
  }

  get self(): Member | undefined {
    return this.#document.members.get(this.#options.self.id)
  }

  /** Resolves once the document as it is now is durable. */
  get persisted(): Promise<void> {
    return this.#persisted
  }

  member(id: string): Member | undefined {
    return this.#document.members.get(id)
  }

  propertiesOf(bucket: string): BucketProperties {
    return this.#document.buckets.get(bucket)?.properties ?? defaultProperties
  }

  /** How the bucket settles conflicts. Asked for at every write, and mostly of the same bucket as the last time. */
  conflictModeOf(bucket: Uint8Array): ConflictMode {
    if (this.#lastMode === null || !equalBytes(bucket, this.#lastBucket)) {
      this.#lastBucket = Uint8Array.from(bucket)
      this.#lastMode = this.propertiesOf(asBuffer(bucket).toString()).conflict
    }
    return this.#lastMode
  }

  /** Takes in a peer's document. Answers whether this node learned anything. */
  merge(other: ClusterDocument): boolean {
    if (this.#cameTooLate(other)) this.#stepBack()
    const merged = mergeDocuments(this.#document, other)
    return this.#replace(merged)
  }

  /**
   * Makes the own record agree with the configuration, as a new version where anything differs. A node that is new
   * becomes a member at once while that moves no data: while the cluster has taken no writes, or has fewer members
   * than replicas. Otherwise it stays `joining` until its join is planned and committed.
   */
  announceSelf(): void {
    const { self, replicas, log } = this.#options
    const known = this.self
    if (known?.state === 'removed') {
      log.error(
        { member: self.id },
        'this node was removed from the cluster and cannot come back under the same id'
      )
      return
    }
    if (known !== undefined && sameDescription(known, this.#selfAsAllowed(known))) return
    const members = this.#document.members
    if (known === undefined && members.size >= membersMax) {
      log.error(
        { member: self.id, members: members.size },
        'the cluster has as many members as it may, the removed ones included: this node cannot join'
      )
      return
    }
    const movesData = this.#document.sealed && membersInRing(this.#document) >= replicas
    const state = known?.state ?? (movesData ? 'joining' : 'normal')
    if (known === undefined && movesData) {
      log.warn(
        { member: self.id },
        'the cluster has data already: this node waits as a joining member, outside the ring'
      )
    }
    const version = (known?.version ?? 0) + 1
    const record: Member = {
      ...(known === undefined ? self : this.#selfAsAllowed(known)),
      version,
      state,
      joinedAt: known?.joinedAt ?? 0,
      removedAt: known?.removedAt ?? 0
    }
    this.#replace({ ...this.#document, members: new Map(members).set(self.id, record) })
  }

  /** Notes that the cluster has taken writes. Durable before any write staged after this call is. */
  seal(): void {
    if (!this.#document.sealed) this.#replace({ ...this.#document, sealed: true })
  }

  /** Null takes the properties back to their defaults. Errors: `bad_parameter` where there are too many buckets. */
  setBucket(bucket: string, properties: BucketProperties | null): void {
    const known = this.#document.buckets.get(bucket)
    if (properties !== null && (known?.properties ?? null) === null) this.#checkRoom(known)
    const version = (known?.version ?? 0) + 1
    const record: BucketRecord = { version, writer: this.#options.self.id, properties }
    const buckets = new Map(this.#document.buckets).set(bucket, record)
    this.#replace({ ...this.#document, buckets })
  }

  // Only where a record is added: what others have added meanwhile is taken in whatever it comes to.
  #checkRoom(known: BucketRecord | undefined): void {
    const records = [...this.#document.buckets.values()]
    const configured = records.filter(({ properties }) => properties !== null).length
    if (configured >= bucketsMax) {
      const problem = `${configured} buckets have properties of their own, and no more may`
      throw new AnnealError('bad_parameter', problem)
    }
    if (known === undefined && records.length >= bucketRecordsMax) {
      const problem = `${records.length} buckets have had properties of their own, and no more may`
      throw new AnnealError('bad_parameter', problem)
    }
  }

  // Zone, region and weight decide what a node holds: with data in the cluster they only change as a topology change.
  #selfAsAllowed(known: Member): ClusterStateOptions['self'] {
    const { self, log } = this.#options
    if (!this.#document.sealed) return self
    const { zone, region, weight } = known
    const kept = { ...self, zone, region, weight }
    if (!this.#warned && !sameDescription({ ...known, http: self.http, peer: self.peer }, self)) {
      this.#warned = true
      log.warn(
        { zone, region, weight },
        'zone, region and weight stay what they were, since another ring would move data'
      )
    }
    return kept
  }

  // This node formed a cluster of its own because it reached nobody, and now meets one that has data without it.
  #cameTooLate(other: ClusterDocument): boolean {
    const { self, replicas } = this.#options
    const founded = this.self?.state === 'normal' && !this.#document.sealed
    if (!founded || !other.sealed || other.members.has(self.id)) return false
    return membersInRing(other) >= replicas
  }

  #stepBack(): void {
    const own = this.self
    if (own === undefined) return
    const record: Member = { ...own, state: 'joining', version: own.version + 1 }
    this.#replace({ ...this.#document, members: new Map([[own.id, record]]) })
  }

  #replace(document: ClusterDocument): boolean {
    const digest = documentDigest(document)
    if (digest === this.#digest) return false
    this.#document = document
    this.#lastMode = null
    this.#digest = digest
    this.#ring = buildRing(document.members.values(), this.#options.ring, this.#ring)
    this.#persisted = this.#options.persist(serializeDocument(document))
    // A failed write stops the node; whoever waits for this promise learns of it too.
    this.#persisted.catch(() => {})
    this.#options.onChange()
    return true
  }
}

function membersInRing(document: ClusterDocument): number {
  let count = 0
  for (const { state } of document.members.values()) {
    if (state === 'normal' || state === 'leaving') count++
  }
  return count
}

function sameDescription(member: Member, self: ClusterStateOptions['self']): boolean {
  return (
    member.http === self.http &&
    member.peer === self.peer &&
    member.zone === self.zone &&
    member.region === self.region &&
    member.weight === self.weight
  )
}

function serializeDocument(document: ClusterDocument): Uint8Array {
  return toBinary(ClusterDocumentSchema, encodeDocument(document))
}

function parseDocument(bytes: Uint8Array): ClusterDocument {
  return decodeDocument(fromBinary(ClusterDocumentSchema, bytes))
}
