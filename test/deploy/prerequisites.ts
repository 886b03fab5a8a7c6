import { tryCommand } from './container-command.ts'

const commands: readonly (readonly string[])[] = [['docker', 'compose'], ['docker-compose']]

export interface Prerequisites {
  /** The compose commands that work here, such as `docker compose`, each with the version that it states. */
  readonly compose: readonly { readonly command: readonly string[]; readonly version: string }[]
  /** What is missing, in words for the person who started the test; empty where it can be run. */
  readonly missing: readonly string[]
}

/** Looks for an engine that answers and for every generation of Compose. */
export async function findPrerequisites(): Promise<Prerequisites> {
  const missing: string[] = []
  const engine = await tryCommand(['docker', 'version', '--format', '{{.Server.Version}}'])
  if (engine.code === 127) {
    missing.push('the command `docker` (Debian: apt-get install docker.io)')
  } else if (engine.code !== 0) {
    missing.push(`a Docker engine that answers: ${engine.stderr.trim()}`)
  }
  const compose: { command: readonly string[]; version: string }[] = []
  for (const command of commands) {
    const { code, stdout } = await tryCommand([...command, 'version', '--short'])
    if (code === 0) compose.push({ command, version: stdout.trim() })
  }
  if (compose.length === 0) {
    missing.push('`docker compose` or docker-compose (Debian: apt-get install docker-compose)')
  }
  return { compose, missing }
}
