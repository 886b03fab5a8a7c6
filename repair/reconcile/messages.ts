import { leavesPerNode, treeFanOut } from '../../core/limits.ts'
import type { Dot, VersionVector } from '../../storage/version-vector.ts'
import type { RowSetAside } from './calls.ts'
import type { FactKind, FactName, FactOffer, RowOutcome, ShippedRow } from './range-side.ts'

/** Bytes of a digest on the wire: roots, nodes below the root, entries of a leaf, and keys within a leaf. */
export const rootBytes = 8
export const nodeBytes = 6
/** Of the digests of the 16 nodes below one, and of the four leaves below one. */
export const topBytes = treeFanOut * nodeBytes
export const leavesBytes = leavesPerNode * nodeBytes
export const entryBytes = 6
export const wideEntryBytes = 16
export const keyDigestBytes = 5
/** Of a key's digest, where a row is asked for of which the other side told before. */
export const wantDigestBytes = 3

/** What goes with a message in either direction, besides what it is about. */
export interface Envelope {
  /** The content of facts that the other side asked for. */
  readonly facts: readonly FactContent[]
  /** Names of facts that this side asks the other for. */
  readonly wanted: readonly FactRequest[]
}

export interface FactContent {
  readonly kind: FactKind
  readonly name: FactName
  readonly content: Uint8Array
}

export interface FactRequest {
  readonly kind: FactKind
  readonly name: FactName
}

/** The pair of snapshots that a message about a partition speaks of: of the side that began, and of the other. */
export interface PartitionRef {
  readonly partition: number
  readonly snapshot: number
  readonly peerSnapshot: number
}

export interface OpenPartition {
  readonly partition: number
  readonly snapshot: number
  readonly root: Uint8Array
  readonly isEmpty: boolean
}

export interface DescendPart extends PartitionRef {
  /** Nodes of level 1 that differ, in rising order, and the asking side's digests of the 16 below each. */
  readonly nodes: readonly { readonly index: number; readonly children: Uint8Array }[]
}

export interface LeavesPart extends PartitionRef {
  /** Leaves in rising order; the entries' digests in rising order, side by side. */
  readonly leaves: readonly { readonly leaf: number; readonly entries: Uint8Array }[]
}

export interface Want {
  readonly leaf: number
  /** The first bytes of the key's digest, which rarely stand for two of the rows that were told of. */
  readonly digestStart: number
  /** Null: all that the answering side told of. */
  readonly dots: readonly Dot[] | null
}

export interface WantsPart extends PartitionRef {
  readonly wants: readonly Want[]
}

export type Question =
  | {
      readonly kind: 'open'
      readonly nowMs: number
      readonly offers: readonly FactOffer[]
      readonly partitions: readonly OpenPartition[]
    }
  /** Recompute these trees from the rows; answered when it is done. */
  | { readonly kind: 'verify'; readonly partitions: readonly number[] }
  | { readonly kind: 'descend'; readonly parts: readonly DescendPart[] }
  | { readonly kind: 'leaves'; readonly width: number; readonly parts: readonly LeavesPart[] }
  | {
      readonly kind: 'exchange'
      /** The answer is to name the present roots of all partitions that are spoken of. */
      readonly wantsRoots: boolean
      readonly rows: readonly ShippedRow[]
      readonly parts: readonly WantsPart[]
    }
  | { readonly kind: 'pull'; readonly part: PullPart }
  | {
      readonly kind: 'close'
      readonly table: FactName
      /** No difference at or below the table's numbers was found, or is left. */
      readonly equal: readonly number[]
      /** Over, without a proof. */
      readonly finished: readonly number[]
      readonly setAside: readonly RowSetAside[]
    }
  /** Keeps the session alive during a wait. */
  | { readonly kind: 'keep' }
  | { readonly kind: 'bye' }

export interface PullPart extends PartitionRef {
  readonly leafFrom: number
  readonly leafTo: number
  readonly from: Buffer | null
  readonly bytesMax: number
}

/** `full`: only the answering side holds anything; `empty`: only the asking side does. */
export type OpenStatus = 'equal' | 'differs' | 'full' | 'empty' | 'busy' | 'notReady'

export interface OpenAnswer {
  readonly status: OpenStatus
  /** 0 but for `differs`, `full` and `empty`. */
  readonly snapshot: number
  /** Rows that the answering side holds, where the status is `full`; 0 otherwise. */
  readonly keys: number
  /** The answering side's digests of the 16 nodes of level 1, where the status is `differs`; empty otherwise. */
  readonly children: Uint8Array
}

export interface PresentRoot {
  readonly partition: number
  /** 16 bytes. */
  readonly root: Uint8Array
}

/** What the answering side found below one node. */
export interface NodeAnswer {
  /** A bit for each of the 16 nodes below that differ. */
  readonly mask: number
  /** The answering side's digests of the four leaves below each of those, in their order. */
  readonly leaves: Uint8Array
}

/** A version without its value. */
export interface Header {
  readonly dot: Dot
  readonly past: VersionVector
  /** Only where the bucket keeps the latest; null otherwise. */
  readonly timeMs: number | null
}

export interface HeaderRow {
  readonly keyDigest: number
  /** How long the row's latest version is still young, by the answering side's clock. */
  readonly youngMs: number
  readonly versions: readonly Header[]
}

export interface LeafReply {
  /** Which of the entries the answering side does not have like that. */
  readonly lacking: readonly number[]
  /** The rows that it has otherwise, or alone. */
  readonly rows: readonly HeaderRow[]
}

/** In the order of the question; null for a part whose snapshots are not those of the session. */
export type Reply =
  | {
      readonly kind: 'opened'
      readonly nowMs: number
      readonly offers: readonly FactOffer[]
      readonly partitions: readonly OpenAnswer[]
    }
  | { readonly kind: 'verified' }
  | { readonly kind: 'descended'; readonly parts: readonly (readonly NodeAnswer[] | null)[] }
  | { readonly kind: 'compared'; readonly parts: readonly (readonly LeafReply[] | null)[] }
  | {
      readonly kind: 'exchanged'
      readonly outcomes: readonly RowOutcome[]
      /** How many of the wants are done with; the others did not fit. */
      readonly answered: number
      /** A want spoke of other snapshots. */
      readonly stale: boolean
      readonly rows: readonly ShippedRow[]
      /** After what has arrived, and before what is sent along. */
      readonly roots: readonly PresentRoot[]
    }
  | {
      readonly kind: 'pulled'
      readonly stale: boolean
      /** Nothing may be moved yet: to be asked for again, from the same place. */
      readonly wait: boolean
      readonly rows: readonly ShippedRow[]
      readonly next: Buffer | null
    }
  /** For the partitions that were said to be equal: whether that is now noted. */
  | { readonly kind: 'closed'; readonly proven: readonly boolean[] }
  | { readonly kind: 'kept' }
  /** The session, or the answer to a request that was repeated much later, is not known here (any more). */
  | { readonly kind: 'gone' }

export type QuestionKind = Question['kind']
export type ReplyKind = Reply['kind']
