/** What a repair is to do; everything unless said otherwise. */
export interface RepairOptions {
  /** `full`: the trees are recomputed from the rows on both sides first. */
  readonly mode?: 'incremental' | 'full'
  /** Finds and counts differences, ships nothing. */
  readonly dryRun?: boolean
  readonly partitions?: readonly number[]
}

/** What an exchange or a repair has done so far. */
export interface RepairCounts {
  readonly keysCompared: number
  readonly differences: number
  readonly rowsSent: number
  readonly rowsReceived: number
  /** Known to be missing on one side and not shipped yet. */
  readonly rowsToShip: number
  readonly bytesSent: number
  readonly bytesReceived: number
  /** All bytes on the wire but those of the rows. */
  readonly indexBytes: number
  readonly dataBytes: number
  readonly roundTrips: number
}

export interface RepairRunStatus extends RepairCounts {
  readonly id: string
  readonly mode: string
  readonly dryRun: boolean
  readonly state: 'running' | 'done' | 'failed' | 'cancelled'
  /** Why it failed or what it waits for. */
  readonly reason: string | null
  /** Pairs of a partition and a peer. */
  readonly partitions: { readonly done: number; readonly total: number }
  /** Members that could not be reached. */
  readonly skipped: readonly string[]
  readonly startedAt: string
  readonly finishedAt: string | null
  /** Null while nothing can be said. */
  readonly etaSeconds: number | null
}

export interface BackgroundRepair {
  readonly state: 'running' | 'slowed' | 'paused'
  readonly reason: string | null
  readonly bytesPerSecond: number
  readonly bytesPerSecondMax: number
  readonly intervalSeconds: number
}

export interface RepairStatus {
  readonly background: BackgroundRepair
  readonly summary: {
    /** Null: some were never found equal. */
    readonly oldestEqualSeconds: number | null
    readonly neverEqual: number
    /** Pairs of a partition and a peer, by state. */
    readonly partitions: Readonly<Record<string, number>>
  }
  readonly peers: readonly {
    readonly peer: string
    readonly up: boolean
    readonly partitions: number
    readonly early: number
    readonly reason: string | null
  }[]
  readonly exchanges: readonly (RepairCounts & {
    readonly peer: string
    readonly run: string | null
    readonly partitions: number
    readonly startedAt: string
  })[]
  readonly partitions: readonly {
    readonly partition: number
    readonly peer: string
    readonly state: string
    readonly lastRepaired: string | null
    readonly reason: string | null
  }[]
}

export interface HintBacklog {
  readonly target: string
  readonly count: number
  readonly bytes: number
  readonly oldestSeconds: number | null
}

export interface QuarantineEntry {
  readonly id: string
  readonly bucket: string
  readonly key: string
  readonly node: string
  readonly from: string
  readonly since: string
  readonly reason: string
  readonly etag: string
  readonly tombstone: boolean
  readonly bytes: number
  readonly lastModified: string
}
