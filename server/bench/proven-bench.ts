import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CliExit, exitCodes } from '../cli/exit.ts'
import { packageRoot } from '../cli/package-root.ts'
import { json } from '../cli/terminal.ts'
import type { Watcher } from './load.ts'
import { machine } from './machine.ts'
import type { Proof } from './repair-proof.ts'
import { untilSignal } from './until-signal.ts'

interface BenchFlags {
  readonly data?: string
  readonly json?: true
}

/** What the flags come to, and where the cluster that is started is to be. */
export type OnOwnDisk<Flags> = Omit<Flags, keyof BenchFlags> & {
  readonly directory: string
  readonly program: string
}

/** A benchmark with a cluster of its own, which is proven equal at the end. */
export interface ProvenBench<Flags, Report> {
  readonly name: string
  readonly run: (options: OnOwnDisk<Flags>, watcher: Watcher) => Promise<Report>
  readonly format: (report: Report) => string
  /** Whether operations of the users failed. */
  readonly hasErrors: (report: Report) => boolean
}

/** Runs it and prints what came of it. Errors: CliExit where it fails, the replicas differ, or operations failed. */
export async function runProvenBench<Flags extends BenchFlags, Report extends { proof: Proof }>(
  { name, run, format, hasErrors }: ProvenBench<Flags, Report>,
  flags: Flags
): Promise<void> {
  const { data, json: asJson, ...same } = flags
  const program = join(packageRoot, 'bin', 'anneal.js')
  const options = { ...same, directory: data ?? tmpdir(), program }
  const startedAt = new Date()
  const report = await untilSignal((signal) => {
    const progress = (step: string): boolean => process.stderr.write(`${step}\n`)
    return run(options, { progress, signal })
  })
  if (report === null) return
  const document = { benchmark: name, startedAt, machine: machine(), options, ...report }
  process.stdout.write(asJson === true ? json(document) : format(report))
  if (!report.proof.equal) throw new CliExit(exitCodes.failed, 'the replicas are not equal')
  if (hasErrors(report)) throw new CliExit(exitCodes.failed, 'operations of the load failed')
}
