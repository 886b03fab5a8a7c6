import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from 'commander'
import { commandTree, type TreeCommand } from '../../server/cli/command-tree.ts'
import { createProgram } from '../../server/cli/program.ts'
import { blankTerminal } from '../../server/cli/reference.ts'
import { run } from './fake-terminal.ts'

const tree = commandTree(await createProgram([], blankTerminal))

function nameOf({ place }: TreeCommand): string {
  return ['anneal', ...place].join(' ')
}

/** The words of a line as a shell would pass them on: quotes taken away, and everything from a redirection on. */
function wordsOf(line: string): readonly string[] {
  const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)]
  const end = words.findIndex(([, , , plain]) => plain !== undefined && /^[<>|]/.test(plain))
  const kept = end < 0 ? words : words.slice(0, end)
  return kept.map(([, double, single, plain]) => double ?? single ?? plain ?? '')
}

/** Parses a command line with everything that checks it, and does nothing of what it says. Errors: rejects. */
async function parse(args: readonly string[]): Promise<readonly string[]> {
  const program = await createProgram(args, blankTerminal)
  let reached: readonly string[] = []
  const idle = (command: Command, place: readonly string[]): void => {
    if (
      command.commands.length === 0 ||
      command.registeredArguments.length > 0 ||
      isRunnable(place)
    ) {
      command.action(() => {
        reached = place
      })
    }
    for (const one of command.commands) idle(one, [...place, one.name()])
  }
  idle(program, [])
  await program.parseAsync(args, { from: 'user' })
  return reached
}

/** Groups such as `anneal bench` do nothing by themselves. */
function isRunnable(place: readonly string[]): boolean {
  return place.length > 0 && place.join(' ') !== 'bench'
}

test('there are commands to be looked at', () => {
  assert.ok(tree.length > 20, `${tree.length}`)
})

for (const one of tree) {
  const name = nameOf(one)
  test(`${name} --help describes every option and has examples that parse`, async () => {
    const { exitCode, stdout, stderr } = await run([...one.place, '--help'])
    assert.deepEqual([exitCode, stderr], [0, ''])
    assert.ok(stdout.startsWith(`Usage: ${name}`))
    assert.notEqual(one.description, '')
    for (const { names, description } of one.options) {
      assert.notEqual(description.trim(), '', `${name} ${names} says what it does`)
      const line = stdout.split('\n').find((text) => text.includes(`  ${names.join(', ')}`))
      const start = description.split(' ').slice(0, 2).join(' ')
      assert.ok(line?.includes(start) === true, `${names} is described: ${stdout}`)
    }
    for (const argument of one.command.registeredArguments) {
      assert.notEqual(argument.description, '', `${name} <${argument.name()}> says what it is`)
    }
    const [, section = ''] = /\nExamples?:\n((?: {2}\$ .*\n?)+)/.exec(stdout) ?? []
    const examples = [...section.matchAll(/\$ (.*)/g)].map(([, example = '']) => example)
    assert.ok(examples.length > 0, `${name} has an example: ${stdout}`)
    for (const example of examples) {
      const [program, ...args] = wordsOf(example)
      assert.equal(program, 'anneal')
      const reached = await parse(args)
      assert.deepEqual(reached.slice(0, one.place.length), one.place, example)
      assert.notEqual(reached.length, 0, example)
    }
  })
}

test('an example with a mistake would be found', async () => {
  await assert.rejects(parse(['repair', 'pause', '--full']), /unknown option '--full'/)
  await assert.rejects(parse(['status', '--nodes', 'x']), /unknown option/)
  await assert.rejects(parse(['frobnicate']), /unknown command/)
  await assert.rejects(parse(['put', 'b', 'k', '--w', 'most']), /argument 'most' is invalid/)
})

test('options of a group are understood before and behind its subcommands', async () => {
  const dead = 'http://127.0.0.1:2'
  for (const args of [
    ['repair', '--node', dead, 'status', '--json'],
    ['repair', '--json', 'status', '--node', dead],
    ['quarantine', 'drop', 'x', '--node', dead, '--json']
  ]) {
    const { exitCode, stdout, stderr } = await run(args, { env: { ANNEAL_NODE: '::' } })
    assert.equal(exitCode, 1, stderr)
    assert.match(stderr, /127\.0\.0\.1:2/)
    assert.equal(JSON.parse(stdout).error.code, 'unreachable')
  }
  const demo = await run(['demo', 'kill', '--http-port', '7'])
  assert.match(demo.stderr, /no demo of yours runs there/)
})
