import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, type ConfigProblem } from '../../server/config/config-error.ts'
import { isLoopback } from '../../server/config/cross-check.ts'
import { type ConfigSources, loadConfig } from '../../server/config/load-config.ts'

const yes = () => 'yes'

function problems(sources: Partial<ConfigSources>): readonly ConfigProblem[] {
  try {
    loadConfig({ flags: {}, env: {}, readFile: yes, ...sources })
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError)
    for (const problem of thrown.problems) assert.ok(thrown.message.includes(problem.message))
    return thrown.problems
  }
  return assert.fail('this configuration is to be refused')
}

function inFile(yaml: string): readonly ConfigProblem[] {
  return problems({ flags: { config: 'a.yaml' }, readFile: () => yaml })
}

function only(found: readonly ConfigProblem[]): ConfigProblem {
  const [first] = found
  assert.ok(first !== undefined && found.length === 1, JSON.stringify(found))
  return first
}

test('an unknown key names itself, its value, and what was probably meant', () => {
  const problem = only(inFile('repair: {intervallMs: 5}'))
  assert.equal(problem.setting, 'repair.intervallMs')
  assert.equal(problem.source, 'file a.yaml')
  assert.match(problem.message, /given as 5.*did you mean repair\.intervalMs.*milliseconds/)
})

test('a key in the wrong group is found by its last part', () => {
  assert.match(only(inFile('node: {maxSiblings: 3}')).message, /did you mean limits\.maxSiblings/)
})

test('settings that do not exist yet are unknown', () => {
  assert.match(only(inFile('peer: {tls: {cert: x}}')).message, /no such setting/)
})

test('an unknown variable is refused; the one for clients is not', () => {
  const env = { ANNEAL_NODE: 'http://x', ANNEAL_PARENT_PIPE: '1', ANNEAL_HTTPP: 'x:1', HOME: '/' }
  const problem = only(problems({ env }))
  assert.equal(problem.setting, 'ANNEAL_HTTPP')
  assert.match(problem.message, /did you mean ANNEAL_HTTP,/)
})

test('an ill-typed value is shown with what is allowed', () => {
  const problem = only(problems({ env: { ANNEAL_REPAIR__INTERVAL_MS: '5s' } }))
  assert.equal(problem.setting, 'repair.intervalMs')
  assert.equal(problem.source, 'variable ANNEAL_REPAIR__INTERVAL_MS')
  assert.match(problem.message, /^"5s" is not allowed; it takes a whole number of milliseconds/)
})

const refused = [
  ['limits: {maxValueBytes: 65 MiB}', 'limits.maxValueBytes'],
  ['limits: {maxValueBytes: 16 MB}', 'limits.maxValueBytes'],
  ['limits: {maxValueBytes: 0.3 B}', 'limits.maxValueBytes'],
  ['cluster: {partitions: 100}', 'cluster.partitions'],
  ['cluster: {partitions: 8192}', 'cluster.partitions'],
  ['cluster: {insecure: yes}', 'cluster.insecure'],
  ['node: {id: ../x}', 'node.id'],
  ['node: {id: 7}', 'node.id'],
  ['node: {http: "8801"}', 'node.http'],
  ['node: {http: "127.0.0.1:65536"}', 'node.http'],
  ['node: {advertisePeer: "10.0.0.1:0"}', 'node.advertisePeer'],
  ['seeds: 127.0.0.1:9801', 'seeds'],
  ['readRepair: {probability: 1.5}', 'readRepair.probability'],
  ['readRepair: {mode: sometimes}', 'readRepair.mode'],
  ['replication: {r: most}', 'replication.r'],
  ['replication: {regions: {eu: 0}}', 'replication.regions'],
  ['replication: {n: null}', 'replication.n'],
  ['repair: 5', 'repair']
] as const

for (const [yaml, setting] of refused) {
  test(`refuses ${yaml}`, () => {
    const problem = only(inFile(yaml))
    assert.equal(problem.setting, setting)
    assert.match(problem.message, /is not allowed; it (takes|is a group that takes)/)
  })
}

const contradictions = [
  ['replication: {n: 2, w: 3}', 'replication.w', /there are 2 replicas/],
  ['replication: {regions: {eu: 1, us: 1}, r: 3}', 'replication.r', /there are 2 replicas/],
  ['node: {peer: "0.0.0.0:9801"}', 'cluster.secret', /node\.peer .* cluster\.insecure: true/],
  ['node: {http: "0.0.0.0:8801"}', 'cluster.secret', /node\.http .* cluster\.insecure: true/],
  ['limits: {maxInFlightBytes: 1 KiB}', 'limits.maxInFlightBytes', /maxValueBytes, 1 MiB/],
  ['http: {defaultTimeoutMs: 40000}', 'http.defaultTimeoutMs', /requestTimeoutMs, 30000/],
  ['node: {http: "127.0.0.1:9801"}', 'node.http', /also node\.peer/]
] as const

for (const [yaml, setting, message] of contradictions) {
  test(`refuses the combination ${yaml}`, () => {
    const problem = only(inFile(yaml))
    assert.equal(problem.setting, setting)
    assert.match(problem.message, message)
  })
}

test('a secret or an explicit risk allows a peer address that others reach', () => {
  for (const extra of ['secret: x', 'insecure: true']) {
    const yaml = `{node: {peer: "0.0.0.0:9801"}, cluster: {${extra}}}`
    loadConfig({ flags: { config: 'f' }, env: {}, readFile: () => yaml })
  }
})

test('loopback is what no other machine reaches', () => {
  for (const address of ['127.0.0.1:1', '127.9.9.9:1', '[::1]:1', 'localhost:1', 'LOCALHOST:1']) {
    assert.equal(isLoopback(address), true, address)
  }
  for (const address of [
    '0.0.0.0:1',
    '[::]:1',
    '128.0.0.1:1',
    '127.0.0.1.evil.example:1',
    'n1:1'
  ]) {
    assert.equal(isLoopback(address), false, address)
  }
})

test('no message ever shows a secret', () => {
  const secret = 'hunter2'
  const attempts: Partial<ConfigSources>[] = [
    { flags: { config: 'f' }, readFile: () => `cluster: {secret: [${secret}]}` },
    { flags: { config: 'f' }, readFile: () => `cluster: {secrett: ${secret}}` },
    { flags: { config: 'f' }, readFile: () => `cluster: ${secret}` },
    { flags: { config: 'f' }, readFile: () => `token: {a: ${secret}}` },
    { flags: { config: 'f' }, readFile: () => `cluster:\n  secret: "${secret}\n bad: [` },
    { flags: { config: 'f' }, readFile: () => `cluster: {secret: *${secret}}` },
    { env: { ANNEAL_CLUSTER_SCERET: secret } },
    { env: { ANNEAL_CLUSTER_SECRET: secret, ANNEAL_CLUSTER__SECRET: `${secret}x` } },
    { env: { ANNEAL_CLUSTER_SECRET: secret.repeat(1000) } },
    { flags: { set: [`cluster.secet=${secret}`, `cluster=${secret}`] } }
  ]
  for (const attempt of attempts) {
    assert.ok(!JSON.stringify(problems(attempt)).includes(secret), JSON.stringify(attempt))
  }
})

test('all problems of all places are told at once', () => {
  const found = problems({
    flags: { config: 'f', set: ['nonsense', 'seeds=x', 'repair=1', 'log.level=loud'] },
    env: { ANNEAL_LOG__LEVEL: 'louder', ANNEAL_CLUSTER_SECRET_FILE: 'x' },
    readFile: (path) => {
      if (path === 'f') return 'log: {level: loudest}'
      throw Object.assign(new Error(), { code: 'EACCES' })
    }
  })
  const names = found.map(({ setting }) => setting)
  const level = 'log.level'
  assert.deepEqual(names, ['--set', 'seeds', 'repair', level, 'cluster.secret', level, level])
  assert.match(found[4]?.message ?? '', /x cannot be read: this user may not read it/)
})

test('a setting that is given twice in one place is refused', () => {
  const env = { ANNEAL_HTTP: '127.0.0.1:1', ANNEAL_NODE__HTTP: '127.0.0.1:1' }
  assert.match(only(problems({ env })).message, /given twice, also by variable ANNEAL_HTTP/)
  assert.match(only(problems({ flags: { id: 'a', set: ['node.id=b'] } })).message, /given twice/)
  assert.match(only(inFile('log: {level: warn}\nlog: {level: info}')).message, /unique|duplicate/)
})

test('a file that cannot be read or understood says so', () => {
  const missing = (): string => {
    throw Object.assign(new Error(), { code: 'ENOENT' })
  }
  const unread = problems({ flags: { config: 'a.yaml' }, readFile: missing })
  assert.match(only(unread).message, /a\.yaml cannot be read: there is no such file/)
  assert.match(inFile('node: [')[0]?.message ?? '', /not valid YAML at line 1, column/)
  assert.match(only(inFile('- a\n- b')).message, /must be a map/)
  assert.match(only(inFile('1: 2')).message, /no such setting/)
})

test('hostile values stay on one line of bounded length', () => {
  const problem = only(problems({ env: { ANNEAL_LOG__LEVEL: `\n\u001b[2J${'x'.repeat(10_000)}` } }))
  assert.ok(problem.message.length < 300)
  assert.ok(!problem.message.includes('\n') && !problem.message.includes('\u001b'))
})
