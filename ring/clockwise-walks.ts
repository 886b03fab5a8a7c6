/** Who is on the ring, and where it stands. */
export interface Placed {
  readonly id: string
  readonly zone: string
}

/**
 * For every partition all members in the order in which they are asked to hold it: clockwise from its owner, each zone
 * once before any zone a second time (Dynamo's preference list, skipping to distinct zones). The first N are its
 * replicas, the next ones stand in for them. Members that own nothing come last.
 */
export function clockwiseWalks(
  owners: readonly string[],
  members: readonly Placed[]
): readonly (readonly string[])[] {
  const zones = new Map(members.map(({ id, zone }) => [id, zone]))
  const walks: (readonly string[])[] = owners.map(() => [])
  const clockwise = members.map(({ id }) => id)
  // Seen from one partition further back, its owner comes first and the others follow as before. Going once around
  // without looking brings the list into the order that the last partition sees.
  for (const owner of owners.toReversed()) moveToFront(clockwise, owner)
  for (let partition = owners.length - 1; partition >= 0; partition--) {
    moveToFront(clockwise, owners[partition] ?? '')
    walks[partition] = inZoneRounds(clockwise, zones)
  }
  return walks
}

function moveToFront(ids: string[], id: string): void {
  const at = ids.indexOf(id)
  if (at <= 0) return
  ids.copyWithin(1, 0, at)
  ids[0] = id
}

/** Everybody who is the first of its zone, then everybody who is the second, and so on. */
function inZoneRounds(
  ids: readonly string[],
  zones: ReadonlyMap<string, string>
): readonly string[] {
  const rounds: string[][] = []
  const seen = new Map<string, number>()
  for (const id of ids) {
    const zone = zones.get(id) ?? ''
    const round = seen.get(zone) ?? 0
    seen.set(zone, round + 1)
    const members = rounds[round]
    if (members === undefined) rounds.push([id])
    else members.push(id)
  }
  return rounds.flat()
}
