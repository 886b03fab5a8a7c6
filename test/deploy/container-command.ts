import { execFile } from 'node:child_process'

const outputBytesMax = 16 * 1024 * 1024

export interface CommandOutcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end, whatever the end; a program that is not there ends with 127, as in a shell. */
export function tryCommand(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {}
): Promise<CommandOutcome> {
  const [program = '', ...args] = command
  const options = { env: { ...process.env, ...environment }, maxBuffer: outputBytesMax }
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      const failed = error?.code === 'ENOENT' ? 127 : 1
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : failed
      resolve({ code, stdout, stderr: stderr || (error?.message ?? '') })
    })
  })
}

/** As `tryCommand`, for what has to work. Errors: Error with the command and what it said. */
export async function runCommand(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {}
): Promise<string> {
  const { code, stdout, stderr } = await tryCommand(command, environment)
  if (code !== 0) {
    throw new Error(`${command.join(' ')} ended with ${code}: ${stderr.trim() || stdout.trim()}`)
  }
  return stdout
}
