import type { ExitCode } from '../../server/cli/exit.ts'
import { runCommand } from '../../server/cli/main.ts'
import type { Terminal } from '../../server/cli/terminal.ts'

export interface Outcome {
  readonly exitCode: ExitCode
  readonly stdout: string
  readonly stderr: string
}

export interface Surroundings {
  readonly env?: Record<string, string>
  readonly stdin?: string | null
  readonly isInteractive?: boolean
}

/** Runs one command line in this process; `stdin: null` stands for a terminal at which nobody types. */
export async function run(args: readonly string[], around: Surroundings = {}): Promise<Outcome> {
  const out: string[] = []
  const err: string[] = []
  const terminal: Terminal = {
    env: around.env ?? {},
    isInteractive: around.isInteractive ?? false,
    stdinIsInteractive: around.stdin === null,
    columns: 80,
    out: (data) => {
      out.push(typeof data === 'string' ? data : Buffer.from(data).toString('latin1'))
      return Promise.resolve()
    },
    err: (text) => err.push(text),
    readStdin: () => Promise.resolve(Buffer.from(around.stdin ?? ''))
  }
  const exitCode = await runCommand(args, terminal)
  return { exitCode, stdout: out.join(''), stderr: err.join('') }
}
