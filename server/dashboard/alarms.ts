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
  // Without figures that change by the second: a screen reader reads out what is new here.
  if (hints.length > 0) {
    notices.push(`hints wait here for ${hints.map(({ target }) => target).join(', ')}`)
  }
  if ((repair.pairs['differs'] ?? 0) > 0) {
    notices.push('replicas are known to differ, and are not repaired yet')
  }
  const why = whyNotRunning(repair)
  if (why !== '') notices.push(`background repair is ${repair.background.state}: ${why}`)
  return [
    ...problems.map((text) => ({ severity: 'problem' as const, text })),
    ...notices.map((text) => ({ severity: 'notice' as const, text }))
  ]
}

/** Empty where background repair runs. */
function whyNotRunning({ background, isPaused, isEnabled }: StateEvent['repair']): string {
  if (background.state === 'running') return ''
  if (!isEnabled) return 'it is disabled (repair.enabled)'
  return isPaused ? 'an operator did that' : 'it gives way to requests'
}
