import { styleText } from 'node:util'
import type { Environment } from '../config/environment-layer.ts'

/** What a command may touch of the process around it, so that a test can stand in for a terminal. */
export interface Terminal {
  readonly env: Environment
  /** Whether stdout is a terminal: only then are there colours and a newline behind a raw value. */
  readonly isInteractive: boolean
  readonly stdinIsInteractive: boolean
  /** Characters on a line, for wrapping help. */
  readonly columns: number
  /** Writes to stdout; resolves when the bytes were handed over. */
  out(data: string | Uint8Array): Promise<void>
  /** Writes to stderr. */
  err(text: string): void
  readStdin(): Promise<Uint8Array>
}

/** `anneal ring | head` closes the pipe early, which is no failure; a demo must go on to tidy up. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process
  for (const stream of [stdout, stderr]) stream.on('error', ignoreClosedPipe)
  return {
    env: process.env,
    isInteractive: stdout.isTTY === true,
    stdinIsInteractive: stdin.isTTY === true,
    columns: stdout.columns ?? 80,
    out: (data) => new Promise((resolve) => stdout.write(data, () => resolve())),
    err: (text) => {
      stderr.write(text)
    },
    readStdin: async () => {
      const chunks: Buffer[] = []
      for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
      return Buffer.concat(chunks)
    }
  }
}

export type Tone = 'good' | 'warning' | 'bad' | 'faint'

const formats = { good: 'green', warning: 'yellow', bad: 'red', faint: 'dim' } as const

/** Colours for people: none where stdout is no terminal or NO_COLOR is set (https://no-color.org). */
export function painter(terminal: Terminal): (tone: Tone, text: string) => string {
  const noColor = terminal.env['NO_COLOR']
  const isColoured = terminal.isInteractive && (noColor === undefined || noColor === '')
  return (tone, text) =>
    isColoured ? styleText(formats[tone], text, { validateStream: false }) : text
}

/** One JSON document. */
export function json(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`
}
