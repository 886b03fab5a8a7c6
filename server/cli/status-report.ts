import type { ClusterStatus, MemberStatus, RingStatus } from '../../client/types.ts'

/** One member and what it said itself, or why it said nothing. */
export interface MemberAnswer {
  readonly member: MemberStatus
  readonly answer: ClusterStatus | { readonly failure: string }
}

export interface MemberReport {
  readonly id: string
  readonly http: string
  readonly peer: string
  readonly zone: string
  readonly region: string
  /** What the node says of itself; null where it says nothing. */
  readonly state: string | null
  /** Its place in the cluster: joining, normal or leaving. */
  readonly membership: string
  readonly reachable: boolean
  /** Why it is not reachable, else null. */
  readonly failure: string | null
  readonly version: string | null
  readonly uptimeSeconds: number | null
  readonly epoch: string | null
  /** The opinion of every node that answered, by its id. */
  readonly upAsSeenBy: Readonly<Record<string, boolean>>
  /** Partitions that it owns and that it holds a copy of; null where the ring is not known. */
  readonly partitionsOwned: number | null
  readonly partitionsHeld: number | null
  readonly hints: Readonly<Record<string, unknown>> | null
  readonly repair: Readonly<Record<string, unknown>> | null
}

export interface StatusReport {
  readonly cluster: string
  readonly epoch: string
  readonly degraded: boolean
  /** What is wrong, in sentences; empty where nothing is. */
  readonly problems: readonly string[]
  /** Things to know that are not wrong by themselves. */
  readonly notes: readonly string[]
  readonly members: readonly MemberReport[]
}

/** Puts together what all members said. Pure; `entry` is the answer of the node that was asked first. */
export function statusReport(
  entry: ClusterStatus,
  answers: readonly MemberAnswer[],
  ring: RingStatus | null
): StatusReport {
  const members = answers.map((answer) => memberReport(answer, answers, ring))
  const problems = [...members.flatMap(memberProblems), ...epochProblems(members)]
  const { name, epoch } = entry.cluster
  const degraded = problems.length > 0
  return { cluster: name, epoch, degraded, problems, notes: versionNotes(members), members }
}

function memberReport(
  { member, answer }: MemberAnswer,
  answers: readonly MemberAnswer[],
  ring: RingStatus | null
): MemberReport {
  const { id, http, peer, zone, region } = member
  const said = 'failure' in answer ? null : answer
  return {
    id,
    http,
    peer,
    zone,
    region,
    state: said?.node.state ?? null,
    membership: member.state,
    reachable: said !== null,
    failure: 'failure' in answer ? answer.failure : null,
    version: said?.node.version ?? null,
    uptimeSeconds: said?.node.uptimeSeconds ?? null,
    epoch: said?.cluster.epoch ?? null,
    upAsSeenBy: opinionsOf(id, answers),
    partitionsOwned: countPartitions(ring, (replicas) => replicas[0] === id),
    partitionsHeld: countPartitions(ring, (replicas) => replicas.includes(id)),
    hints: said?.hints ?? null,
    repair: said?.repair ?? null
  }
}

function opinionsOf(id: string, answers: readonly MemberAnswer[]): Record<string, boolean> {
  const opinions = answers.flatMap(({ member, answer }) => {
    if ('failure' in answer) return []
    const seen = answer.cluster.members.find((other) => other.id === id)
    // A node that does not know the member at all cannot reach it either.
    return [[member.id, seen?.up ?? false] as const]
  })
  return Object.fromEntries(opinions)
}

function countPartitions(
  ring: RingStatus | null,
  matches: (replicas: readonly string[]) => boolean
): number | null {
  return ring?.partitions.filter((partition) => matches(partition.replicas)).length ?? null
}

function memberProblems(member: MemberReport): readonly string[] {
  const problems: string[] = []
  if (!member.reachable) {
    problems.push(`${member.id} does not answer: ${member.failure}`)
  }
  const doubters = Object.entries(member.upAsSeenBy).filter(([, up]) => !up)
  if (doubters.length > 0) {
    problems.push(`${member.id} is down as seen by ${doubters.map(([id]) => id).join(', ')}`)
  }
  return problems
}

function epochProblems(members: readonly MemberReport[]): readonly string[] {
  const epochs = new Map<string, string[]>()
  for (const { id, epoch } of members) {
    if (epoch !== null) epochs.set(epoch, [...(epochs.get(epoch) ?? []), id])
  }
  if (epochs.size <= 1) return []
  const views = [...epochs].map(([epoch, ids]) => `${epoch} (${ids.join(', ')})`)
  return [`the members do not agree on the ring yet: ${views.join(', ')}`]
}

function versionNotes(members: readonly MemberReport[]): readonly string[] {
  const versions = new Set(members.flatMap(({ version }) => (version === null ? [] : [version])))
  return versions.size <= 1 ? [] : [`several versions run: ${[...versions].sort().join(', ')}`]
}
