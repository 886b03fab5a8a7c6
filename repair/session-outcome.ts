/** What one session has done so far; everything only rises while it runs. */
export interface SessionCounters {
  readonly roundTrips: number
  /** Bytes on the wire in both directions, but for the rows themselves. */
  readonly indexBytes: number
  /** Bytes of the rows that were shipped. */
  readonly dataBytesSent: number
  readonly dataBytesReceived: number
  readonly rowsSent: number
  readonly rowsReceived: number
  /** Rows known to be missing on one of the sides and not shipped yet. */
  readonly rowsToShip: number
  readonly keysCompared: number
  readonly leavesCompared: number
  /** Leaves known to differ and not looked into yet. */
  readonly leavesToCompare: number
  /** Keys found to differ. */
  readonly differences: number
  /** Partitions that had to begin anew, since the snapshot that a message spoke of was another one. */
  readonly restarts: number
  readonly quarantined: number
  /** Rows that one side did not take for now. */
  readonly refused: number
}

export const noCounters: SessionCounters = {
  roundTrips: 0,
  indexBytes: 0,
  dataBytesSent: 0,
  dataBytesReceived: 0,
  rowsSent: 0,
  rowsReceived: 0,
  rowsToShip: 0,
  keysCompared: 0,
  leavesCompared: 0,
  leavesToCompare: 0,
  differences: 0,
  restarts: 0,
  quarantined: 0,
  refused: 0
}

/** Adds up what several sessions did. */
export function addCounters(a: SessionCounters, b: SessionCounters): SessionCounters {
  return {
    roundTrips: a.roundTrips + b.roundTrips,
    indexBytes: a.indexBytes + b.indexBytes,
    dataBytesSent: a.dataBytesSent + b.dataBytesSent,
    dataBytesReceived: a.dataBytesReceived + b.dataBytesReceived,
    rowsSent: a.rowsSent + b.rowsSent,
    rowsReceived: a.rowsReceived + b.rowsReceived,
    rowsToShip: a.rowsToShip + b.rowsToShip,
    keysCompared: a.keysCompared + b.keysCompared,
    leavesCompared: a.leavesCompared + b.leavesCompared,
    leavesToCompare: a.leavesToCompare + b.leavesToCompare,
    differences: a.differences + b.differences,
    restarts: a.restarts + b.restarts,
    quarantined: a.quarantined + b.quarantined,
    refused: a.refused + b.refused
  }
}

/** What was found and moved in one partition. */
export interface Shipped {
  readonly differences: number
  readonly rowsSent: number
  readonly rowsReceived: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly roundTrips: number
}

export const nothingShipped: Shipped = {
  differences: 0,
  rowsSent: 0,
  rowsReceived: 0,
  bytesSent: 0,
  bytesReceived: 0,
  roundTrips: 0
}

/**
 * How one partition came out. `equal`: nothing that should have been the same differs any more. `differs`: something
 * does, and the reason says why it was not repaired. `busy`: the peer compares it with somebody else just now.
 * `later`: it was not got to. Round trips are those of the session up to here: partitions are compared side by side, and
 * share them.
 */
export interface PartitionOutcome extends Shipped {
  readonly verdict: 'equal' | 'differs' | 'busy' | 'later'
  /** Empty for `equal`. */
  readonly reason: string
}

/** How a session ended; `reason` is for people, and empty where it is `done`. */
export interface SessionOutcome {
  readonly end: 'done' | 'busy' | 'failed' | 'cancelled'
  readonly reason: string
  readonly partitions: ReadonlyMap<number, PartitionOutcome>
  /** Partitions whose trees both sides have recomputed from the rows, whatever became of the session afterwards. */
  readonly recomputed: readonly number[]
  readonly counters: SessionCounters
}
