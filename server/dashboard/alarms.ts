import type { StateEvent } from './event-schemas.ts'

type Alarm = StateEvent['alarms'][number]

/** What the alarms are drawn from. */
export type AlarmFacts = Omit<StateEvent, 'alarms'> & {
  /** Conditions of being ready that do not hold, in words. */
  readonly notReady: readonly string[]
}

/** What an operator should look at, the worst first. */
export function alarmsOf(facts: AlarmFacts): Alarm[] {
  const { members, quarantine, damage, watermarks, hints, repair, cluster } = facts
  const problems: string[] = [...facts.notReady]
  const notices: string[] = []
  for (const { id, up, state } of members) {
    if (!up) problems.push(`${id} is down as this node sees it`)
    if (state !== 'normal') notices.push(`${id} is ${state}`)
  }
  for (const { id, view } of members) {
    const unseen = (view?.down ?? []).filter((other) => members.some((m) => m.id === other && m.up))
    if (unseen.length > 0)
      problems.push(`${id} does not see ${unseen.join(', ')}, but this node does`)
    if (view !== null && view.epoch !== cluster.epoch) {
      problems.push(`${id} goes by another ring (${view.epoch}) than this node`)
    }
  }
  if (quarantine.count > 0) {
    problems.push(
      `${quarantine.count} versions came up again after they were deleted everywhere, and are in quarantine`
    )
  }
  if (damage.rows + damage.unreadableSlices + damage.leaves > 0) {
    problems.push('damage was found on the disk of this node since it started')
  }
  if (watermarks.behind > 0) {
    problems.push(
      `this node answers no reads of ${watermarks.behind} partitions: its data is older than what peers have proven`
    )
  }
  if (watermarks.membersUnheard.length > 0) {
    notices.push(
      `nothing was ever heard of ${watermarks.membersUnheard.join(', ')}: tombstones wait for it`
    )
  }
  if (hints.length > 0) {
    const waiting = hints.map(({ target, count }) => `${count} for ${target}`)
    notices.push(`hints wait here: ${waiting.join(', ')}`)
  }
  const differing = repair.pairs['differs'] ?? 0
  if (differing > 0)
    notices.push(`${differing} comparisons found a difference that is not repaired yet`)
  const { state, reason } = repair.background
  if (state !== 'running') {
    const why = (reason ?? 'for no reason that is known').replace(/^paused:? /, '')
    notices.push(`background repair is ${state}: ${why}`)
  }
  return [
    ...problems.map((text) => ({ severity: 'problem' as const, text })),
    ...notices.map((text) => ({ severity: 'notice' as const, text }))
  ]
}
