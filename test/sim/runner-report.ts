import type { LifeReport, Violation } from './life.ts'
import type { LifeTask } from './runner-messages.ts'
import type { Shrunk } from './shrink.ts'

const timelineLinesMax = 60

/** The command that lives exactly this life once more. */
export function replayCommand({ seed, override }: LifeTask): string {
  const isPlain = Object.keys(override).length === 0
  return `npm run sim -- --seed ${seed}${isPlain ? '' : ` --override '${JSON.stringify(override)}'`}`
}

/** A failed life, for people: what was violated, what had happened to the key, and how to see it again. */
export function describeFailure(task: LifeTask, report: LifeReport, shrunk: Shrunk | null): string {
  const [first] = report.violations
  const lines = [
    `seed ${task.seed} violates "${first?.invariant}"`,
    `  ${report.parameters}`,
    ...report.violations.map(describeViolation),
    ...timelineOf(first),
    `  replay: ${replayCommand(task)}`
  ]
  if (shrunk !== null && shrunk.report !== report) {
    const [simplest] = shrunk.report.violations
    lines.push(
      `  shrunk in ${shrunk.lives} lives to`,
      `  ${shrunk.report.parameters}`,
      ...(simplest === undefined ? [] : [describeViolation(simplest)]),
      ...timelineOf(simplest),
      `  replay: ${replayCommand(shrunk.task)}`
    )
  }
  return lines.join('\n')
}

/** One life, for people who replay it. */
export function describeLife(task: LifeTask, report: LifeReport): string {
  const { operations, acknowledged, failed, faults, virtualMs, traceDigest } = report
  const facts = `${operations} operations, ${acknowledged} writes acknowledged, ${failed} operations failed, ${faults} faults, ${(virtualMs / 1000).toFixed(0)} virtual seconds, trace ${traceDigest}`
  if (report.violations.length > 0) return `${describeFailure(task, report, null)}\n  ${facts}`
  return `seed ${task.seed} violates nothing\n  ${report.parameters}\n  ${facts}`
}

function describeViolation({ atMs, invariant, detail }: Violation): string {
  return `  at ${(atMs / 1000).toFixed(3)} s, ${invariant}: ${detail}`
}

function timelineOf(violation: Violation | undefined): string[] {
  const timeline = violation?.timeline ?? []
  const left = timeline.length - timelineLinesMax
  const shown = timeline.slice(-timelineLinesMax).map((line) => `    ${line}`)
  if (timeline.length === 0) return []
  return [
    '  what happened to the key:',
    ...(left > 0 ? [`    (${left} lines before)`] : []),
    ...shown
  ]
}
