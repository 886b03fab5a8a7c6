import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseAddress } from '../../server/address.ts'
import { loadConfig } from '../../server/config/load-config.ts'
import type { Config } from '../../server/config/schema.ts'
import { imageEnvironment } from './image-file.ts'
import { readOnlyYaml, type YamlPlace } from './yaml-document.ts'

const compose = readOnlyYaml('docker-compose.yml')
const services = compose.at('services')
const nodeNames = services.keys.filter((name) => name.startsWith('n'))
const otherNames = services.keys.filter((name) => !nodeNames.includes(name))
const firstPort = 8801
const publish = '$' + '{PUBLISH_ADDRESS:-127.0.0.1}'

/** What the program makes of the settings of a node; refuses settings that it does not know. */
function configOf(name: string): Config {
  const own = services.at(name, 'environment').record
  const { NODE_ENV, NODE_OPTIONS, ...fromImage } = imageEnvironment
  return loadConfig({ flags: {}, env: { ...fromImage, ...own }, readFile: () => 'secret' })
}

const configs = nodeNames.map(configOf)

test('five nodes in at least two zones expect each other, by the names that they have', () => {
  assert.deepEqual(nodeNames, ['n1', 'n2', 'n3', 'n4', 'n5'])
  assert.ok(new Set(configs.map(({ node }) => node.zone)).size >= 2)
  for (const [index, config] of configs.entries()) {
    const name = nodeNames[index] ?? ''
    assert.equal(config.node.id, name)
    assert.equal(services.at(name, 'hostname').text, name)
    assert.equal(config.cluster.expectedNodes, nodeNames.length)
    const { port } = parseAddress(config.node.peer)
    assert.deepEqual(
      config.seeds,
      nodeNames.map((seed) => `${seed}:${port}`)
    )
  }
})

test('HTTP is published on loopback, one port after another', () => {
  for (const [index, config] of configs.entries()) {
    const { port } = parseAddress(config.node.http)
    assert.deepEqual(services.at(nodeNames[index] ?? '', 'ports').texts, [
      `${publish}:${firstPort + index}:${port}`
    ])
  }
  for (const name of otherNames) {
    for (const port of services.at(name, 'ports').texts) assert.ok(port.startsWith(publish), port)
  }
})

test('a node has longer to stop than its drain takes, and as many files as connections', () => {
  for (const [index, config] of configs.entries()) {
    const service = services.at(nodeNames[index] ?? '')
    const graceSeconds = Number.parseInt(service.at('stop_grace_period').text, 10)
    assert.ok(graceSeconds * 1000 >= 2 * config.http.drainMs)
    const files = service.at('ulimits', 'nofile', 'hard').number
    assert.ok(files > config.limits.maxConnections + 1000)
  }
})

test('every data directory is a volume of its own', () => {
  const declared = compose.at('volumes').keys
  for (const [index, config] of configs.entries()) {
    const name = nodeNames[index] ?? ''
    assert.deepEqual(services.at(name, 'volumes').texts, [`${name}:${config.node.data}`])
    assert.ok(declared.includes(name))
  }
})

test('the secret is a file that the node is told of', () => {
  for (const name of nodeNames) {
    const [secret] = services.at(name, 'secrets').texts
    const { ANNEAL_CLUSTER_SECRET_FILE: path } = services.at(name, 'environment').record
    assert.equal(path, `/run/secrets/${secret}`)
  }
  const file = /:-(.+)\}$/.exec(compose.at('secrets', 'cluster_secret', 'file').text)?.[1]
  assert.ok(
    existsSync(join(import.meta.dirname, '../..', file ?? 'none')),
    'a fresh clone starts without anything being made first'
  )
})

test('every container may do nothing but its work, and none fills memory or disk', () => {
  for (const service of services.keys.map((name) => services.at(name))) {
    assert.deepEqual(service.at('cap_drop').texts, ['ALL'])
    assert.deepEqual(service.at('security_opt').texts, ['no-new-privileges:true'])
    assert.match(service.at('mem_limit').text, /^\d+[mg]$/)
    assert.equal(service.at('restart').text, 'unless-stopped')
    assert.deepEqual(service.at('logging', 'options').keys, ['max-size', 'max-file'])
  }
  for (const name of nodeNames) assert.equal(services.at(name, 'read_only').value, true)
})

test('a node is healthy when it is ready, asked with nothing but node', () => {
  for (const name of nodeNames) {
    const [kind, program, , script] = services.at(name, 'healthcheck', 'test').texts
    assert.deepEqual([kind, program], ['CMD', 'node'])
    assert.match(script ?? '', /127\.0\.0\.1:8801\/readyz/)
    assert.doesNotThrow(() => new Function(script ?? ''))
  }
})

test('what is not a node starts on demand only, from an image of a stated version', () => {
  for (const service of otherNames.map((name): YamlPlace => services.at(name))) {
    assert.deepEqual(service.at('profiles').texts, ['monitoring'])
    assert.match(service.at('image').text, /:v?\d+\.\d+\.\d+$/)
  }
  assert.ok(nodeNames.every((name) => services.at(name, 'profiles').value === undefined))
})

test('Prometheus is told of every node', () => {
  const jobs = readOnlyYaml('deploy/prometheus/prometheus.yml').at('scrape_configs').list
  const job = jobs.find((candidate) => candidate.at('job_name').value === 'anneal')
  const targets = job?.at('static_configs').list.flatMap((group) => group.at('targets').texts)
  assert.deepEqual(
    targets?.toSorted(),
    nodeNames.map((name) => `${name}:8801`)
  )
})
