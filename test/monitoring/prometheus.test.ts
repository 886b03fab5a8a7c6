import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ClusterProcess } from '../cluster/cluster-process.ts'
import { PrometheusProcess } from './prometheus-process.ts'
import { alerts, hurriedRules, metricsOf, rules, rulesPath } from './rules.ts'

const root = join(import.meta.dirname, '../..')
const dashboardsPath = join(root, 'deploy/grafana/dashboards')

function promtool(args: readonly string[], input = ''): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  return { code: status, output: stdout + stderr }
}

const isThere = spawnSync('promtool', ['--version']).status === 0
const skip = isThere
  ? false
  : 'NOT TRIED: prometheus and promtool are not installed (Debian package prometheus)'

interface Panel {
  readonly title: string
  readonly description?: string
  readonly datasource?: { readonly uid: string }
  readonly fieldConfig: { readonly defaults: { readonly unit?: string } }
  readonly targets: readonly { readonly expr: string }[]
}

interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly panels: readonly Panel[]
}

const dashboards = readdirSync(dashboardsPath).map(
  (name) => JSON.parse(readFileSync(join(dashboardsPath, name), 'utf8')) as Dashboard
)
const panels = dashboards.flatMap((dashboard) =>
  dashboard.panels.map((panel) => ({ name: `${dashboard.title}, ${panel.title}`, panel }))
)

describe('rules and dashboards', () => {
  it('have a runbook for every alert, at the place that it names', () => {
    const page = readFileSync(join(root, 'docs/how-to/alerts.md'), 'utf8')
    const headings = [...page.matchAll(/^## (\w+)$/gm)].map(([, name = '']) => name)
    assert.deepEqual(headings.sort(), alerts.map(({ alert = '' }) => alert).sort())
    for (const { alert = '', annotations = {} } of alerts) {
      assert.equal(annotations['runbook'], `docs/how-to/alerts.md#${alert.toLowerCase()}`)
    }
  })

  it('say in every panel what is shown, in which unit, and of which data source', () => {
    assert.ok(panels.length > 30)
    assert.equal(new Set(dashboards.map(({ uid }) => uid)).size, dashboards.length)
    for (const { name, panel } of panels) {
      assert.ok(panel.description, name)
      assert.ok(panel.fieldConfig.defaults.unit, name)
      assert.equal(panel.datasource?.uid, '$' + '{datasource}', name)
      assert.ok(panel.targets.length > 0, name)
    }
  })

  it('go by metrics that the reference knows', () => {
    const reference = readFileSync(join(root, 'docs/reference/metrics.md'), 'utf8')
    const recorded = new Set(rules.map(({ record }) => record))
    const expressions = [...rules, ...panels.flatMap(({ panel }) => panel.targets)]
    for (const { expr } of expressions) {
      for (const metric of metricsOf(expr)) {
        const name = metric.replace(/_(bucket|sum|count)$/, '')
        const isOfProcess = /^(up$|anneal_(process|nodejs)_)/.test(name)
        assert.ok(isOfProcess || recorded.has(name) || reference.includes(`\`${name}\``), metric)
      }
    }
  })

  it('pass the checks of promtool, and behave as their own tests say', { skip }, () => {
    for (const args of [
      ['check', 'config', join(root, 'deploy/prometheus/prometheus.yml')],
      ['check', 'rules', rulesPath],
      ['test', 'rules', join(root, 'deploy/prometheus/tests/anneal.yml')]
    ]) {
      const { code, output } = promtool(args)
      assert.equal(code, 0, output)
    }
  })
})

describe('a real Prometheus that watches a real cluster', { skip }, () => {
  let cluster: ClusterProcess
  let prometheus: PrometheusProcess

  before(async () => {
    cluster = await ClusterProcess.start({
      set: ['repair.intervalMs=1000', 'repair.scrubRowsPerSecond=1000']
    })
    const targets = cluster.nodes.map(({ settings }) => settings.http)
    prometheus = await PrometheusProcess.start(targets, hurriedRules())
  })

  after(async () => {
    await prometheus?.stop()
    await cluster?.stop()
  })

  const write = (key: string, query = '') =>
    fetch(`${cluster.node(1).url}/kv/b/${key}${query}`, { method: 'PUT', body: 'v' })

  const firingNow = async () =>
    [...new Set((await prometheus.firing()).map(({ labels }) => labels['alertname'] ?? ''))].sort()

  it('gets metrics that pass the check of promtool', async () => {
    const answer = await fetch(`${cluster.node(1).url}/metrics`)
    const { code, output } = promtool(['check', 'metrics'], await answer.text())
    assert.equal(code, 0, output)
  })

  it('sees no alert while all is well', async () => {
    for (let i = 0; i < 20; i++) assert.equal((await write(`k${i}`)).status, 204)
    const isEqual = 'count(anneal_repair_oldest_equal_age_seconds < 8) == 6'
    await prometheus.until('compared', async () => (await prometheus.query(isEqual)).length > 0)
    await prometheus.until('no alert', async () => (await firingNow()).length === 0)
  })

  it('raises those that it should while a node is down and repair is paused', async () => {
    await cluster.node(3).end('SIGKILL')
    await cluster.settled()
    const paused = await fetch(`${cluster.node(2).url}/admin/repair/pause`, { method: 'POST' })
    assert.ok(paused.ok)
    for (let i = 0; i < 20; i++) assert.equal((await write(`k${i}`)).status, 204)
    const expected = [
      'AnnealHintBacklog',
      'AnnealNodeDown',
      'AnnealPeerDown',
      'AnnealQuorumFailures',
      'AnnealRepairAge',
      'AnnealRepairPaused'
    ]
    await prometheus.until(`${expected}`, async () => {
      const refused = await write('strict', '?w=all&sloppy=false')
      assert.equal(refused.status, 503)
      const firing = await firingNow()
      assert.ok(
        firing.every((alert) => expected.includes(alert)),
        `${firing}`
      )
      return firing.join() === expected.join()
    })
  })

  it('has data for every alert, recording rule and panel', async () => {
    for (const { alert, record, expr } of rules) {
      for (const metric of metricsOf(expr)) {
        assert.ok((await prometheus.query(metric)).length > 0, `${alert ?? record}: ${metric}`)
      }
    }
    for (const { name, panel } of panels) {
      for (const { expr } of panel.targets) {
        const filled = expr
          .replaceAll('$instance', '.*')
          .replaceAll('$__rate_interval', '8s')
          .replaceAll('[1d]', '[8s]')
        assert.ok((await prometheus.query(filled)).length > 0, `${name}: ${expr}`)
      }
    }
  })

  it('clears them once the node is back and repair goes on', async () => {
    cluster.node(3).spawn()
    await fetch(`${cluster.node(2).url}/admin/repair/resume`, { method: 'POST' })
    await cluster.settled()
    await prometheus.until('all clear', async () => (await firingNow()).length === 0)
  })

  it('keeps its series, whatever keys, clients and nonsense there are', async () => {
    const url = cluster.node(1).url
    const series = async () => {
      const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n')
      return lines
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => line.slice(0, line.lastIndexOf(' ')))
    }
    // What a node estimates of its peers comes and goes with their exchanges, and a percentile with the requests of the
    // last second.
    const isLasting = (name: string) =>
      !/^anneal_(repair_divergence_ratio|foreground_latency_seconds)\{/.test(name)
    const visit = async (round: number) => {
      for (let i = 0; i < 50; i++) {
        const name = `${round}-${i}`
        const headers = { 'User-Agent': `agent ${name}`, 'Request-Id': `id-${name}` }
        for (const method of ['PUT', 'GET', 'DELETE', 'PATCH', 'POST']) {
          const body = method === 'PUT' ? name : null
          await fetch(`${url}/kv/bucket-${name}/key-${name}`, { method, headers, body })
          await fetch(`${url}/nonsense/${name}`, { method, headers })
        }
        await fetch(`${url}/kv/b/k?r=${name}`, { headers })
      }
    }
    await visit(0)
    const before = await series()
    await visit(1)
    const after = await series()
    assert.deepEqual(after.filter(isLasting), before.filter(isLasting))
    assert.deepEqual(
      after.filter((name) => /bucket-|key-|agent|id-/.test(name)),
      []
    )
  })
})
