import { once } from 'node:events'
import { lstatSync, mkdirSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { DemoCommand, DemoResult } from './demo-actions.ts'
import { CliExit, type ExitCode, exitCodes, exitFor } from './exit.ts'

/** What a demo answers a command with: lines while it goes on, then one of the others. */
type Answer =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'done'; readonly result: DemoResult }
  | { readonly kind: 'failed'; readonly message: string; readonly exitCode: ExitCode }

export type RunCommand = (command: DemoCommand, say: (line: string) => void) => Promise<DemoResult>

/** Where the demo whose first HTTP port this is takes commands: a socket that only its own user can reach. */
export function controlPath(httpPort: number): string {
  return join(tmpdir(), `anneal-demo-${userInfo().uid}`, `${httpPort}.sock`)
}

/**
 * Takes commands, one a connection, as JSON lines. Answers with a function that ends this. Errors: rejects where the
 * socket cannot be made, or the directory belongs to somebody else.
 */
export async function takeCommands(path: string, run: RunCommand): Promise<() => void> {
  requireOwnDirectory(dirname(path))
  // One that is left of a demo that was killed: the ports are free, so nobody is behind it.
  rmSync(path, { force: true })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // Whoever asked may leave before the end, which changes nothing for the command.
    const ignore = (): void => {}
    socket.on('error', ignore)
    createInterface({ input: socket })
      .on('error', ignore)
      .once('line', (line) => void serve(socket, line, run))
  })
  await once(server.listen(path), 'listening')
  return () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    rmSync(path, { force: true })
  }
}

function requireOwnDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const { uid, mode } = lstatSync(directory)
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0) {
    throw new Error(`${directory} can be reached by other users; remove it`)
  }
}

async function serve(socket: Socket, line: string, run: RunCommand): Promise<void> {
  const send = (answer: Answer): void => {
    if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`)
  }
  try {
    // Only the same program of the same user is on the other end.
    const command = JSON.parse(line) as DemoCommand
    const result = await run(command, (text) => send({ kind: 'line', text }))
    send({ kind: 'done', result })
  } catch (thrown) {
    const { message, exitCode } = exitFor(thrown)
    send({ kind: 'failed', message, exitCode })
  }
  socket.end()
}

/** Has a running demo carry out a command. Errors: CliExit where none runs there, or with what it answered. */
export async function sendCommand(
  path: string,
  command: DemoCommand,
  say: (line: string) => void
): Promise<DemoResult> {
  const socket = createConnection(path)
  await once(socket, 'connect').catch(() => {
    const advice = 'start one with `anneal demo`; --http-port tells several apart'
    throw new CliExit(exitCodes.failed, `no demo of yours runs there; ${advice}`)
  })
  socket.on('error', () => {})
  socket.write(`${JSON.stringify(command)}\n`)
  for await (const line of createInterface({ input: socket })) {
    // Only the demo, the same program of the same user, can be on the other end.
    const answer = JSON.parse(line) as Answer
    if (answer.kind === 'line') say(answer.text)
    else {
      socket.destroy()
      if (answer.kind === 'done') return answer.result
      throw new CliExit(answer.exitCode, answer.message)
    }
  }
  throw new CliExit(exitCodes.failed, 'the demo ended before it had answered')
}
