import type { Command } from 'commander'
import { AnnealClientError } from '../../client/client-error.ts'
import { surveyMembers } from './cluster-survey.ts'
import { CliExit, exitCodes } from './exit.ts'
import { addClusterOptions, addExamples, type ClusterOptions, connect } from './options.ts'
import { type MemberReport, type StatusReport, statusReport } from './status-report.ts'
import { count, printable, showDuration, table } from './table.ts'
import { json, painter, type Terminal } from './terminal.ts'

/** `anneal status`: the cluster on one screen. */
export function registerStatus(program: Command, terminal: Terminal): void {
  const command = program
    .command('status')
    .summary('members, who sees whom, balance, versions')
    .description(
      'Show the cluster on one screen: every member is asked for itself and for what it sees of the others.\n\n' +
        'The exit code is 3 when a member does not answer, is seen down, or the members disagree on the ring.'
    )
    .action(async (options: ClusterOptions) => {
      const client = connect(options, terminal)
      const entry = await client.status()
      const [answers, ring] = await Promise.all([
        surveyMembers(entry),
        client.ring().catch((thrown: unknown) => {
          if (thrown instanceof AnnealClientError) return null
          throw thrown
        })
      ])
      const report = statusReport(entry, answers, ring)
      await terminal.out(options.json === true ? json(report) : screen(report, terminal))
      if (report.degraded) throw new CliExit(exitCodes.degraded)
    })
  addClusterOptions(command)
  addExamples(command, 'anneal status', 'anneal status --node http://127.0.0.1:8802 --json')
}

function screen(report: StatusReport, terminal: Terminal): string {
  const paint = painter(terminal)
  const health = report.degraded ? paint('bad', 'degraded') : paint('good', 'healthy')
  const versions = new Set(report.members.flatMap(({ version }) => version ?? []))
  const isMixed = versions.size > 1
  const oneVersion = isMixed ? '' : `, ${[...versions].map(printable).join('')}`
  const members = count(report.members.length, 'member')
  const heading = `cluster ${printable(report.cluster)}: ${health}, ${members}${oneVersion}, ring ${report.epoch}\n\n`
  const places = ['node', 'state', 'zone', 'seen by', ...(isMixed ? ['version'] : [])]
  const head = [...places, 'uptime', 'owns', 'hints', 'all equal', 'http']
  const rows = report.members.map((member) => [
    printable(member.id),
    member.state === null ? paint('bad', state(member)) : paint('good', state(member)),
    printable([member.region, member.zone].filter((part) => part !== '').join('/') || '-'),
    opinions(member),
    ...(isMixed ? [printable(member.version ?? '-')] : []),
    member.uptimeSeconds === null ? '-' : showDuration(member.uptimeSeconds),
    String(member.partitionsOwned ?? '-'),
    printable(String(member.hints?.['count'] ?? '-')),
    allEqual(member),
    printable(member.http)
  ])
  const problems = report.problems.map((text) => paint('bad', `problem: ${printable(text)}`))
  const notes = report.notes.map((text) => paint('warning', `note: ${printable(text)}`))
  const lines = [...report.members.flatMap(repairNotes), ...notes, ...problems]
  const below = lines.length === 0 ? '' : `\n${lines.join('\n')}\n`
  return `${heading}${table(head, rows)}${below}`
}

/** What it does, and its place in the cluster where that is not the usual one. */
function state(member: MemberReport): string {
  const doing = member.state ?? 'unreachable'
  return printable(member.membership === 'normal' ? doing : `${doing}, ${member.membership}`)
}

function opinions(member: MemberReport): string {
  const entries = Object.entries(member.upAsSeenBy)
  const doubters = entries.filter(([, up]) => !up).map(([id]) => printable(id))
  if (doubters.length === 0) return entries.length === 0 ? '-' : `all ${entries.length}`
  return `down: ${doubters.join(' ')}`
}

/** When the oldest comparison ended that found a range equal to a peer's; every other one is younger. */
function allEqual({ repair }: MemberReport): string {
  const never = repair?.['neverEqual']
  if (typeof never === 'number' && never > 0) return 'not yet'
  const seconds = repair?.['oldestEqualSeconds']
  return typeof seconds === 'number' ? `${showDuration(seconds)} ago` : '-'
}

/** A node whose background repair does not run at full pace says why. */
function repairNotes({ id, repair }: MemberReport): readonly string[] {
  const doing = repair?.['state']
  const reason = repair?.['reason']
  if (typeof doing !== 'string' || doing === 'running' || typeof reason !== 'string') return []
  return [printable(`repair of ${id} is ${doing}: ${reason}`)]
}
