import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { DemoCommand } from '../../server/cli/demo-actions.ts'
import { controlPath, sendCommand, takeCommands } from '../../server/cli/demo-control.ts'
import { CliExit, exitCodes } from '../../server/cli/exit.ts'

const kill: DemoCommand = { kind: 'kill', node: 'n2' }

async function freshPath(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'anneal-test-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'own', '8801.sock')
}

test('a command arrives as it was sent; its lines and its result come back', async (t) => {
  const path = await freshPath(t)
  const received: DemoCommand[] = []
  const end = await takeCommands(path, async (command, say) => {
    received.push(command)
    say('one')
    say('two')
    return { killed: 'n2' }
  })
  t.after(end)
  assert.equal((await stat(dirname(path))).mode & 0o077, 0)
  const lines: string[] = []
  assert.deepEqual(await sendCommand(path, kill, (line) => lines.push(line)), { killed: 'n2' })
  assert.deepEqual(lines, ['one', 'two'])
  assert.deepEqual(received, [kill])
})

test('what cannot be done is told with its exit code', async (t) => {
  const path = await freshPath(t)
  const end = await takeCommands(path, () => {
    throw new CliExit(exitCodes.usage, 'there is no n2')
  })
  t.after(end)
  await assert.rejects(
    sendCommand(path, kill, () => {}),
    { exitCode: 2, message: 'there is no n2' }
  )
})

test('where no demo runs, that is said; a socket that one has left behind is in nobody’s way', async (t) => {
  const path = await freshPath(t)
  await assert.rejects(
    sendCommand(path, kill, () => {}),
    /no demo of yours runs there/
  )
  await mkdir(dirname(path), { mode: 0o700 })
  await writeFile(path, '')
  await assert.rejects(
    sendCommand(path, kill, () => {}),
    /no demo of yours runs there/
  )
  const end = await takeCommands(path, () => Promise.resolve({ killed: 'n2' }))
  assert.deepEqual(await sendCommand(path, kill, () => {}), { killed: 'n2' })
  end()
  await assert.rejects(
    sendCommand(path, kill, () => {}),
    /no demo of yours runs there/
  )
})

test('a directory that others can reach is refused', async (t) => {
  const path = await freshPath(t)
  await mkdir(dirname(path))
  await chmod(dirname(path), 0o755)
  const run = () => Promise.resolve({ killed: 'n2' })
  await assert.rejects(takeCommands(path, run), /can be reached by other users/)
})

test('whoever leaves before the end, or talks nonsense, does no harm', async (t) => {
  const path = await freshPath(t)
  const begun = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  let runs = 0
  const end = await takeCommands(path, async (_command, say) => {
    runs++
    begun.resolve()
    await go.promise
    say('done')
    return { killed: 'n2' }
  })
  t.after(end)
  const leaver = connect(path)
  leaver.write(`${JSON.stringify(kill)}\n`)
  await begun.promise
  leaver.destroy()
  go.resolve()
  const nonsense = connect(path)
  nonsense.on('error', () => {})
  nonsense.write('{"kind":\n')
  const answer = Promise.withResolvers<string>()
  nonsense.on('data', (bytes: Buffer) => answer.resolve(bytes.toString()))
  assert.match(await answer.promise, /"kind":"failed"/)
  assert.equal(runs, 1)
  assert.deepEqual(await sendCommand(path, kill, () => {}), { killed: 'n2' })
})

test('several demos are told apart by their first port', () => {
  assert.notEqual(controlPath(8801), controlPath(8901))
})
