import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ConfigFlags } from '../../server/config/flag-layer.ts'
import { loadConfig } from '../../server/config/load-config.ts'
import type { Config } from '../../server/config/schema.ts'
import { settings } from '../../server/config/settings.ts'

interface Given {
  readonly flags?: ConfigFlags
  readonly env?: Record<string, string>
  /** The content of files by path. */
  readonly files?: Readonly<Record<string, string>>
}

function load(given: Given): Config {
  const readFile = (path: string): string => {
    const content = given.files?.[path]
    if (content === undefined) throw Object.assign(new Error('missing'), { code: 'ENOENT' })
    return content
  }
  return loadConfig({ flags: given.flags ?? {}, env: given.env ?? {}, readFile })
}

test('without anything the defaults hold', () => {
  const config = load({ env: { PATH: '/bin' } })
  assert.equal(config.node.id, 'n1')
  assert.equal(config.node.data, './anneal-data/n1')
  assert.equal(config.node.http, '127.0.0.1:8801')
  assert.deepEqual(config.seeds, [])
  assert.deepEqual(config.replication, {
    n: 3,
    regions: null,
    r: 'quorum',
    w: 'quorum',
    sloppy: true
  })
  assert.equal(config.limits.maxValueBytes, 1024 * 1024)
  assert.equal(config.limits.minFreeDiskBytes, null)
  assert.equal(config.tombstones.graceMs, 24 * 60 * 60 * 1000)
})

test('flags win over variables, those over the file, that over the defaults', () => {
  const sources = fc.record({ flag: fc.boolean(), long: fc.boolean(), file: fc.boolean() })
  fc.assert(
    fc.property(sources, ({ flag, long, file }) => {
      const config = load({
        flags: {
          ...(flag ? { set: ['repair.intervalMs=1001'] } : {}),
          ...(file ? { config: 'f' } : {})
        },
        env: long ? { ANNEAL_REPAIR__INTERVAL_MS: '1002' } : {},
        files: { f: 'repair: {intervalMs: 1003}' }
      })
      assert.equal(config.repair.intervalMs, flag ? 1001 : long ? 1002 : file ? 1003 : 60_000)
    })
  )
})

test('every setting can be given by every one of its variables', () => {
  const texts = new Map([
    ['cluster.partitions', '512'],
    ['replication.regions', 'eu=3,us=2'],
    ['durability', 'os'],
    ['readRepair.mode', 'sync'],
    ['log.level', 'debug'],
    ['storage.maxOpenTables', '99'],
    ['seeds', '10.0.0.1:1, [::1]:2']
  ])
  const byKind = { text: '127.0.0.1:77', integer: '5', fraction: '0.5', boolean: 'true' }
  const numbers = { bytes: '65537', duration: '4567', quorum: '2', list: '', map: '' }
  for (const setting of settings) {
    const isName = ['id', 'zone', 'region', 'name'].includes(setting.path.split('.')[1] ?? '')
    const written = isName
      ? 'x'
      : (texts.get(setting.path) ?? { ...byKind, ...numbers }[setting.kind])
    // The limits that others are measured against are raised, so that each setting is looked at alone.
    const others = ['http.requestTimeoutMs=9999', 'limits.maxInFlightBytes=1 GiB']
    const set = others.filter((other) => !other.startsWith(setting.path))
    const text = setting.path === 'limits.maxKeyBytes' ? '99' : written
    for (const variable of setting.variables) {
      const extra = setting.path === 'http.requestTimeoutMs' ? ['http.defaultTimeoutMs=1'] : []
      const extraEnv = { [variable]: setting.path === 'limits.maxInFlightBytes' ? '9 MiB' : text }
      const config = load({ env: extraEnv, flags: { set: [...set, ...extra] } })
      const [group = '', key = ''] = setting.path.split('.')
      const value: unknown = Reflect.get(config, group)
      const leaf: unknown = key === '' ? value : Reflect.get(Object(value), key)
      const changed = JSON.stringify(leaf) !== JSON.stringify(setting.default)
      assert.ok(changed || leaf === true, `${variable}=${text} changes ${setting.path}`)
    }
  }
})

test('values are brought into one form', () => {
  const yaml = [
    'node: {id: a.b, data: "/srv/{id}/x"}',
    'seeds: ["10.0.0.1:9801"]',
    'limits: {maxValueBytes: 1.5 KiB, minFreeDiskBytes: 0}',
    'replication: {regions: {eu: 3, us: 2}, r: local_quorum, w: 5}',
    'repair:'
  ].join('\n')
  const config = load({ flags: { config: 'f' }, files: { f: yaml } })
  assert.equal(config.node.data, '/srv/a.b/x')
  assert.equal(config.limits.maxValueBytes, 1536)
  assert.equal(config.limits.minFreeDiskBytes, 0)
  assert.deepEqual(config.replication.regions, { eu: 3, us: 2 })
  assert.equal(config.replication.r, 'local_quorum')
  assert.equal(config.repair.concurrency, 2)
})

test('a secret may come from a file, whose last newline does not count', () => {
  for (const variable of ['ANNEAL_CLUSTER_SECRET_FILE', 'ANNEAL_CLUSTER__SECRET_FILE']) {
    const config = load({ env: { [variable]: '/s' }, files: { '/s': 'two words\n' } })
    assert.equal(config.cluster.secret, 'two words')
  }
})

test('nobody can change the configuration, at any depth', () => {
  const config = load({ flags: { seeds: 'a:1' } })
  assert.throws(() => Object.assign(config.node, { id: 'other' }), TypeError)
  assert.throws(() => Reflect.apply(Array.prototype.push, config.seeds, ['b:2']), TypeError)
})

test('a region may have the name of a built-in property', () => {
  const config = load({ env: { ANNEAL_REPLICATION__REGIONS: 'constructor=3' } })
  assert.deepEqual(Object.entries(config.replication.regions ?? {}), [['constructor', 3]])
})
