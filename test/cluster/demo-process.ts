import type { ChildProcess } from 'node:child_process'
import { createServer } from 'node:net'
import { freePorts } from './cluster-process.ts'

const startTimeoutMs = 30_000

/** The first of `count` neighbouring ports that nobody listens on. */
export async function portsInARow(count: number): Promise<number> {
  for (;;) {
    const [first = 0] = await freePorts(1)
    const row = Array.from({ length: count }, (_, index) => first + index)
    if ((await Promise.all(row.map(isFree))).every(Boolean)) return first
  }
}

/** Whether nobody listens on it. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Everything on stdout up to and with the line that matches. Errors: rejects when the process ends first. */
export function printed(child: ChildProcess, wanted: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    let errors = ''
    const timer = setTimeout(
      () => reject(new Error(`no ${wanted} in: ${text}${errors}`)),
      startTimeoutMs
    )
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (!wanted.test(text)) return
      clearTimeout(timer)
      resolve(text)
    })
    child.once('close', () => {
      clearTimeout(timer)
      reject(new Error(`ended: ${text}${errors}`))
    })
  })
}
