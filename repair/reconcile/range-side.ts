import type { ObjectKey } from '../../storage/keys.ts'
import type { ConflictMode, Version, Versions } from '../../storage/version.ts'
import type { Dot } from '../../storage/version-vector.ts'

/** 8 bytes of a digest of a table or vector as hexadecimal digits: what both sides call it by. */
export type FactName = string

/**
 * What one side knows and the other may lack. `table`: the report table that the session proves, of all partitions.
 * `watermark`: what is proven of the partitions at the sender. `proofs`: pair proofs of other pairs.
 */
export type FactKind = 'table' | 'watermark' | 'proofs'

/** A fact by name; many partitions share one. Its content is bytes to the exchange and is sent where it is asked for. */
export interface FactOffer {
  readonly kind: FactKind
  readonly name: FactName
  readonly partitions: readonly number[]
}

/** A copy of one partition's tree. Digests are 16 bytes; levels are 0 (root), 1 (16), 2 (256) and 3 (1024 leaves). */
export interface PartitionSnapshot {
  /** Never the same for two snapshots of a process; below 2^48. */
  readonly id: number
  readonly partition: number
  /** Rows in the tree. */
  readonly keys: number
  readonly root: Uint8Array
  /** The digest of a node. */
  node(level: number, index: number): Uint8Array
}

/** A row as a leaf's listing has it; large values are not read. */
export interface ListedRow {
  readonly key: ObjectKey
  readonly versions: Versions
  /** 16 bytes over the row's key and the hash of its object. */
  readonly entryDigest: Uint8Array
}

/** The rows of one leaf in the order of their keys, exact for one moment. */
export interface LeafListing {
  readonly partition: number
  readonly leaf: number
  readonly entries: readonly ListedRow[]
}

/** A row to be read for shipping: all of its versions (null), or those with these dots that are still there. */
export interface WantedRow {
  readonly key: ObjectKey
  readonly dots: readonly Dot[] | null
}

/** A row on its way: the canonical bytes of an object with all its values. */
export interface ShippedRow {
  readonly key: ObjectKey
  readonly object: Uint8Array
}

export type RowOutcome =
  | { readonly kind: 'taken' }
  /** These versions were set aside, the others taken: all other replicas knew that they are gone. */
  | { readonly kind: 'quarantined'; readonly dots: readonly Dot[] }
  /** Nothing of the row was taken. */
  | { readonly kind: 'refused'; readonly reason: string }

export interface RowSlice {
  readonly rows: readonly ShippedRow[]
  /** The row key to go on at; null at the end. */
  readonly next: Buffer | null
}

export interface SliceRequest {
  readonly partition: number
  readonly leafFrom: number
  /** Exclusive. */
  readonly leafTo: number
  /** The row key to begin at; null for the first. */
  readonly from: Buffer | null
  /** Stop after the row that exceeds it; at least one row is read where there is one. */
  readonly bytesMax: number
  readonly absence: AbsenceRule
}

/** By what a version counts as absent; see `RangeSide.collectable`. */
export interface AbsenceRule {
  /** The peer's watermark of the partition; null where it is not known here. */
  readonly watermark: FactName | null
  /** The later of both sides' clocks, so that they agree about what has expired. */
  readonly nowMs: number
}

/** What this side has found to be equal, up to the table's numbers. */
export interface PreparedProof {
  readonly peer: string
  readonly partitions: readonly number[]
  readonly table: FactName
}

/** What both sides have found to be equal, and hold durably. */
export interface ProofNote extends PreparedProof {
  /** The peer's watermarks of these partitions as it named them at the beginning. */
  readonly watermarks: readonly FactOffer[]
}

/**
 * What an exchange needs of its own node, on either side. Whatever returns a promise may take its time; what does not
 * is answered from memory. A promise that rejects ends the session; nothing is retried by the session itself.
 */
export interface RangeSide {
  readonly partitionCount: number
  readonly leafCount: number

  /** Copies the trees as they are now; null where a partition's tree is not loaded, or this node is no replica of it. */
  snapshots(partitions: readonly number[]): Promise<readonly (PartitionSnapshot | null)[]>
  /** Recomputes trees from the rows, for `full` mode. */
  verify(partitions: readonly number[]): Promise<void>

  /** The present content of leaves, in the order asked for. A row that cannot be read counts as absent. */
  list(partition: number, leaves: readonly number[]): Promise<readonly LeafListing[]>
  entryDigest(key: ObjectKey, objectHash: Uint8Array): Uint8Array
  /** What this node holds of the key by now; nothing where that cannot be read. */
  held(key: ObjectKey): Versions
  /** Rows with all values, in the order asked for; null for what is there no more or cannot be read. */
  readRows(wanted: readonly WantedRow[]): Promise<readonly (ShippedRow | null)[]>
  /** Rows in the order of their keys, without the versions that count as absent. */
  slice(request: SliceRequest): Promise<RowSlice>
  modeOf(key: ObjectKey): ConflictMode

  /**
   * Takes rows in as any other write: merged, judged by the rule of arrival, `peer` being the sender. Resolves once all
   * are judged and staged, but for those about which others are being asked: their outcomes follow. They are durable
   * after `sync`. It is given a few rows at a time, and may hold back its answer while too much waits to be written.
   * Where `isWanted` says no by the time it has waited for anything, the exchange was ended, and nothing more is written.
   */
  receive(
    rows: readonly ShippedRow[],
    peer: string,
    isWanted: () => boolean
  ): Promise<readonly (RowOutcome | Promise<RowOutcome>)[]>
  /** The peer set versions of this node aside: removes them from the row, and keeps them where an operator sees them. */
  setAside(key: ObjectKey, dots: readonly Dot[], peer: string): Promise<void>
  /** Resolves once all that was staged so far is on disk, also where the durability is `os`. */
  sync(): Promise<void>

  /**
   * A tombstone or expired version that, with its whole past, is at or below the join of this node's watermark and the
   * peer's. Both sides take it for absent, since either may have collected it already.
   */
  collectable(partition: number, version: Version, rule: AbsenceRule): boolean
  /** Whether the dot is at or below the table's numbers; true also where the table is not known: then nothing is above. */
  isReported(table: FactName, partition: number, dot: Dot): boolean

  /**
   * What this node can tell about the partitions: watermarks, and the proofs of pairs without the peer. Asked before
   * their snapshots are taken: an exchange proves nothing of a partition in which damage was found since then.
   */
  offers(partitions: readonly number[], peer: string): readonly FactOffer[]
  /** Whether the content is known here already, or there is nothing in it. */
  knows(offer: FactOffer): boolean
  /** Null for what this node does not have (any more). */
  fact(kind: FactKind, name: FactName): Uint8Array | null
  /** Errors: DecodeError for bytes that are no such fact, or have another name. */
  learn(offer: FactOffer, content: Uint8Array, peer: string): void
  /**
   * This side is about to tell the peer, which may note the proof then, and others hear of it, before this side does.
   * What was prepared before a call of `sync` is durable after it.
   */
  prepareProof(prepared: PreparedProof): Promise<void>
  /** The pair's partitions hold the same up to the table's numbers, durably on both sides. Resolves once it is noted. */
  noteProof(note: ProofNote): Promise<void>
}
