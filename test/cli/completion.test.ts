import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { commandTree } from '../../server/cli/command-tree.ts'
import { createProgram } from '../../server/cli/program.ts'
import { blankTerminal } from '../../server/cli/reference.ts'
import { run } from './fake-terminal.ts'

type Shell = 'bash' | 'zsh' | 'fish'

/** What each shell is told to do after it has read the script: to print the candidates for the line in `$LINE`. */
const drivers: Readonly<Record<Shell, string>> = {
  // Bash splits the line at these characters before it asks.
  bash: `
    split=\${LINE//=/ = }; split=\${split//:/ : }
    read -ra COMP_WORDS <<< "$split"
    [[ $LINE == *' ' || $LINE == *=  ]] && [[ $LINE != *= ]] && COMP_WORDS+=('')
    COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _anneal
    printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: `
    compset() { PREFIX=\${PREFIX#*=} }
    compadd() { shift; offer "$@" }
    _describe() { offer "\${candidates[@]%%:*}" }
    _files() { offer *(N/) }
    offer() { local one; for one in "$@"; do [[ $one == $PREFIX* ]] && print -r -- $one; done; true }
    words=(\${=LINE}); [[ $LINE == *' ' ]] && words+=('')
    CURRENT=$#words PREFIX=$words[-1]
    _anneal`,
  fish: 'complete -C $LINE | string replace -r "\\t.*" ""'
}

const starts: Readonly<Record<Shell, readonly string[]>> = {
  bash: ['--noprofile', '--norc', '-c'],
  zsh: ['-f', '-c'],
  fish: ['--no-config', '-c']
}

/** A shell of this machine that has read its script; null where there is no such shell. */
async function shellWithScript(t: TestContext, shell: Shell) {
  if (spawnSync(shell, ['--version']).status !== 0) return null
  const directory = mkdtempSync(join(tmpdir(), 'anneal-completion-'))
  t.after(() => rmSync(directory, { recursive: true }))
  mkdirSync(join(directory, 'data dir'))
  const script = join(directory, 'script')
  const { exitCode, stdout } = await run(['completion', shell])
  assert.equal(exitCode, 0)
  writeFileSync(script, stdout)
  // Zsh has this only where completion was set up, which needs a home directory.
  const before = shell === 'zsh' ? 'compdef() { : }; ' : ''
  return (line: string): readonly string[] => {
    const program = `${before}source ${script}\n${drivers[shell]}`
    const env = { ...process.env, LINE: line, HOME: directory, LC_ALL: 'C.UTF-8' }
    const ended = spawnSync(shell, [...starts[shell], program], { env, cwd: directory })
    assert.equal(ended.stderr.toString(), '', `${shell}, completing ${line}`)
    const found = ended.stdout.toString().split('\n')
    return found.filter((one) => one !== '').map((one) => one.replace(/\/$/, ''))
  }
}

const clusterOptions = ['--help', '--json', '--node']

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  test(`${shell} completes commands, options and values`, async (t) => {
    const complete = await shellWithScript(t, shell)
    if (complete === null) return t.skip(`there is no ${shell} here`)
    const candidates = (line: string) => [...complete(line)].sort()
    const long = (line: string) => candidates(line).filter((one) => one.startsWith('--'))

    const all = candidates('anneal ')
    for (const name of ['demo', 'get', 'repair', 'completion', 'bench', 'help']) {
      assert.ok(all.includes(name), `${name} in ${all}`)
    }
    assert.deepEqual(candidates('anneal re'), ['repair'])
    assert.deepEqual(candidates('anneal repair '), ['cancel', 'pause', 'resume', 'status'])
    assert.deepEqual(candidates('anneal repair --node http://127.0.0.1:8801 p'), ['pause'])
    assert.deepEqual(long('anneal status --'), clusterOptions)
    assert.deepEqual(long('anneal repair pause --'), clusterOptions)
    assert.deepEqual(long('anneal repair --'), [
      '--all',
      '--dry-run',
      '--full',
      '--help',
      '--json',
      '--node',
      '--partition',
      '--watch'
    ])
    assert.deepEqual(candidates('anneal get users ada --r a'), ['all'])
    assert.deepEqual(candidates('anneal completion z'), ['zsh'])
    assert.deepEqual(candidates('anneal help qua'), ['quarantine'])
    assert.deepEqual(candidates('anneal bench load --durability '), ['both', 'fsync', 'os'])
    assert.deepEqual(candidates('anneal doctor --data '), ['data dir'])
    assert.deepEqual(candidates('anneal get users '), [], 'no keys are made up')
  })
}

test('bash completes a value behind an equals sign', async (t) => {
  const complete = await shellWithScript(t, 'bash')
  if (complete === null) return t.skip('there is no bash here')
  assert.deepEqual(complete('anneal put b k --w=q'), ['quorum'])
  assert.deepEqual(complete('anneal bench load --durability='), ['fsync', 'os', 'both'])
})

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  test(`${shell} is told every option of every command`, async (t) => {
    const { stdout } = await run(['completion', shell])
    const complete = await shellWithScript(t, shell)
    const tree = commandTree(await createProgram([], blankTerminal))
    assert.ok(tree.length > 20)
    for (const { place, options } of tree) {
      // A shell that is not here cannot be asked, but its script must at least know the place.
      assert.ok(place.length === 0 || stdout.includes(`' ${place.join(' ')}'`), place.join(' '))
      const found = complete?.(`anneal ${[...place, '-'].join(' ')}`) ?? []
      const names = complete === null ? [] : options.flatMap((option) => option.names)
      assert.deepEqual([...found].sort(), [...names].sort(), place.join(' '))
    }
  })
}

test('completion knows three shells and says so', async () => {
  const { exitCode, stdout, stderr } = await run(['completion', 'tcsh'])
  assert.deepEqual([exitCode, stdout], [2, ''])
  assert.match(stderr, /bash, fish, zsh/)
})
