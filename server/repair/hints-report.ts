/** What the reports need of the hints that this node keeps. */
export interface HintsSource {
  backlog(): readonly {
    readonly target: string
    readonly count: number
    readonly bytes: number
    /** The age of the oldest one. */
    readonly oldestMs: number | null
  }[]
  /** Hands over what can be handed over. Resolves when it has been tried. */
  flush(): Promise<void>
}

export interface TargetBacklog {
  readonly target: string
  readonly count: number
  readonly bytes: number
  readonly oldestSeconds: number | null
}

/** What waits for each target. */
export function hintsReport(source: HintsSource): readonly TargetBacklog[] {
  return source
    .backlog()
    .filter(({ count }) => count > 0)
    .map(({ target, count, bytes, oldestMs }) => ({
      target,
      count,
      bytes,
      oldestSeconds: oldestMs === null ? null : Math.round(oldestMs / 1000)
    }))
    .sort((a, b) => (a.target < b.target ? -1 : 1))
}

/** All targets together, for the status. */
export function summarizeHints(source: HintsSource) {
  const targets = hintsReport(source)
  const ages = targets.flatMap(({ oldestSeconds }) => oldestSeconds ?? [])
  return {
    count: targets.reduce((sum, { count }) => sum + count, 0),
    bytes: targets.reduce((sum, { bytes }) => sum + bytes, 0),
    oldestSeconds: ages.length === 0 ? null : Math.max(...ages),
    targets
  }
}
