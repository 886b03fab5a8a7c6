import { execFile } from 'node:child_process'

/** Runs a command to its end and resolves with its output. Errors: rejects with what it said on stderr. */
export function runCommand(command: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`${[command, ...args].join(' ')}: ${stderr.trim() || error.message}`))
    })
  })
}

/** Whether the command can be run and ends with 0. */
export async function succeeds(command: string, ...args: readonly string[]): Promise<boolean> {
  try {
    await runCommand(command, ...args)
    return true
  } catch {
    return false
  }
}
