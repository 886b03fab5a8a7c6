import { createServer } from 'node:net'
import { CliExit, exitCodes } from './exit.ts'

/** A port that is going to be listened on. */
export interface PlannedPort {
  readonly port: number
  /** What it is for, in words: `HTTP of n1`. */
  readonly purpose: string
}

/** Errors: CliExit that names every port of the list that something else uses already. */
export async function requireFreePorts(host: string, ports: readonly PlannedPort[]): Promise<void> {
  const failures = await Promise.all(
    ports.map(async ({ port, purpose }) => {
      const code = await tryToListen(host, port)
      if (code === null) return []
      const reason = code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on (${code})`
      return [`port ${port} on ${host} ${reason}, needed for ${purpose}`]
    })
  )
  const taken = failures.flat()
  if (taken.length === 0) return
  const advice = 'stop what uses it, or choose others with --http-port and --peer-port'
  throw new CliExit(exitCodes.failed, `${taken.join('\n        ')}\n        ${advice}`)
}

/** Null where the port is free, else the code of the error. */
function tryToListen(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}
