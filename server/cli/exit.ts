import { CommanderError } from 'commander'
import { AnnealClientError } from '../../client/client-error.ts'
import { AnnealError } from '../../core/errors.ts'
import { ConfigError } from '../config/config-error.ts'

/** What the exit codes of every command mean. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, degraded: 3 } as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** Ends a command with an exit code; an empty message where everything has been said already. */
export class CliExit extends Error {
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, message = '') {
    super(message)
    this.name = 'CliExit'
    this.exitCode = exitCode
  }
}

/** Answers that say: the cluster is there, and cannot do this now. */
const degradedStatuses = new Set([503, 504, 507])

/** Turns anything that a command threw into an exit code and a sentence. */
export function exitFor(thrown: unknown): CliExit {
  if (thrown instanceof CliExit) return thrown
  if (thrown instanceof CommanderError) return commanderExit(thrown)
  if (thrown instanceof ConfigError) return new CliExit(exitCodes.usage, thrown.message)
  if (thrown instanceof AnnealClientError) return clientExit(thrown)
  if (thrown instanceof AnnealError) return new CliExit(exitCodes.failed, thrown.message)
  const unexpected = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  return new CliExit(exitCodes.failed, unexpected)
}

/** What Commander throws for --help and --version is no failure. */
function commanderExit({ exitCode, message }: CommanderError): CliExit {
  if (exitCode === 0) return new CliExit(exitCodes.ok)
  return new CliExit(exitCodes.usage, message.replace(/^error: /, ''))
}

function clientExit(error: AnnealClientError): CliExit {
  if (error.code === 'unreachable') {
    const advice = 'is a node running there? (--node URL or ANNEAL_NODE names another)'
    return new CliExit(exitCodes.failed, `${error.message}; ${advice}`)
  }
  const exitCode = degradedStatuses.has(error.status) ? exitCodes.degraded : exitCodes.failed
  return new CliExit(exitCode, `${error.message} (${error.code})`)
}
