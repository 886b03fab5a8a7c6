import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parseAddress } from '../../server/address.ts'
import { loadConfig } from '../../server/config/load-config.ts'
import type { Config } from '../../server/config/schema.ts'
import { imageEnvironment } from './image-file.ts'
import { readOnlyYaml, readYaml, type YamlPlace } from './yaml-document.ts'

const root = join(import.meta.dirname, '../..')
const folder = 'deploy/kubernetes/base'
const kustomization = readOnlyYaml(`${folder}/kustomization.yaml`)
const resources = kustomization.at('resources').texts
const objects = resources.flatMap((file) => readYaml(`${folder}/${file}`))

function find(kind: string, name: string): YamlPlace {
  const found = objects.filter(
    (object) => object.at('kind').value === kind && object.at('metadata', 'name').value === name
  )
  const [object] = found
  assert.ok(object !== undefined && found.length === 1, `one ${kind} ${name}`)
  return object
}

const set = find('StatefulSet', 'anneal').at('spec')
const pod = set.at('template', 'spec')
const container = pod.at('containers', 0)
const podLabels = set.at('template', 'metadata', 'labels').record
const peers = find('Service', 'anneal-peers')
const client = find('Service', 'anneal')

const podNames = Array.from({ length: set.at('replicas').number }, (_, index) => `anneal-${index}`)

/** What the program makes of the settings that the pod gets in this zone; refuses settings that it does not know. */
function configOf(podName: string, zone: string): Config {
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': podName,
    "metadata.labels['topology.kubernetes.io/zone']": zone
  }
  const { NODE_ENV, NODE_OPTIONS, ...env } = { ...imageEnvironment }
  for (const variable of container.at('env').list) {
    const field = variable.at('valueFrom', 'fieldRef', 'fieldPath').value
    const written = typeof field === 'string' ? fields[field] : variable.at('value').text
    assert.ok(written !== undefined, `${variable.path} refers to a known field`)
    // A variable may refer to those before it.
    const value = written.replaceAll(/\$\((\w+)\)/g, (_, name: string) => env[name] ?? `no ${name}`)
    env[variable.at('name').text] = value.trim()
  }
  return loadConfig({ flags: {}, env, readFile: () => 'secret' })
}

function isSelected(selector: YamlPlace, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector.record).every(([name, value]) => labels[name] === value)
}

test('every file is applied, and every folder that is referred to is there', () => {
  const files = readdirSync(join(root, folder)).filter((name) => name !== 'kustomization.yaml')
  assert.deepEqual(files.toSorted(), resources.toSorted())
  const example = readOnlyYaml('deploy/kubernetes/example/kustomization.yaml')
  for (const path of example.at('resources').texts) {
    readOnlyYaml(join('deploy/kubernetes/example', path, 'kustomization.yaml'))
  }
  const component = 'deploy/kubernetes/components/service-monitor/kustomization.yaml'
  for (const path of readOnlyYaml(component).at('resources').texts) {
    readYaml(join(dirname(component), path))
  }
})

test('each pod is a node of its own that expects all the others, with a zone or without', () => {
  for (const podName of podNames) {
    const config = configOf(podName, 'eu-central-1a')
    assert.equal(config.node.id, podName)
    assert.equal(config.node.zone, 'eu-central-1a')
    assert.equal(config.cluster.expectedNodes, podNames.length)
    assert.equal(configOf(podName, '').node.zone, '')
  }
})

test('the names that pods tell each other are the seeds, and the headless service gives them out', () => {
  const advertised = podNames.map((podName) => configOf(podName, '').node.advertisePeer)
  for (const podName of podNames) assert.deepEqual(configOf(podName, '').seeds, advertised)
  const service = set.at('serviceName').text
  assert.deepEqual(
    advertised,
    podNames.map((podName) => `${podName}.${service}:9801`)
  )
  assert.equal(service, peers.at('metadata', 'name').text)
  assert.equal(peers.at('spec', 'clusterIP').text, 'None')
  assert.equal(peers.at('spec', 'publishNotReadyAddresses').value, true)
  assert.equal(set.at('podManagementPolicy').text, 'Parallel')
})

test('everything that selects pods selects these', () => {
  const below = (place: YamlPlace) => place.at('matchLabels')
  const policy = find('NetworkPolicy', 'anneal').at('spec')
  const affinity = pod.at('affinity', 'podAntiAffinity')
  const selectors = [
    below(set.at('selector')),
    peers.at('spec', 'selector'),
    client.at('spec', 'selector'),
    below(find('PodDisruptionBudget', 'anneal').at('spec', 'selector')),
    below(policy.at('podSelector')),
    below(policy.at('ingress', 1, 'from', 0, 'podSelector')),
    below(affinity.at('requiredDuringSchedulingIgnoredDuringExecution', 0, 'labelSelector')),
    below(pod.at('topologySpreadConstraints', 0, 'labelSelector'))
  ]
  for (const selector of selectors) assert.ok(isSelected(selector, podLabels), selector.path)
})

test('ports are the same everywhere', () => {
  const ports = new Map(
    container
      .at('ports')
      .list.map((port) => [port.at('name').text, port.at('containerPort').number])
  )
  const { node } = configOf('anneal-0', '')
  assert.equal(ports.get('http'), parseAddress(node.http).port)
  assert.equal(ports.get('peer'), parseAddress(node.peer).port)
  for (const service of [peers, client]) {
    for (const port of service.at('spec', 'ports').list) {
      assert.equal(ports.get(port.at('targetPort').text), port.at('port').number)
    }
  }
  for (const rule of find('NetworkPolicy', 'anneal').at('spec', 'ingress').list) {
    assert.ok(ports.has(rule.at('ports', 0, 'port').text), rule.path)
  }
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    assert.equal(container.at(probe, 'httpGet', 'port').text, 'http')
  }
  assert.equal(container.at('livenessProbe', 'httpGet', 'path').text, '/livez')
  assert.equal(container.at('readinessProbe', 'httpGet', 'path').text, '/readyz')
})

test('data and secret lie where the node looks for them', () => {
  const mounts = new Map(
    container
      .at('volumeMounts')
      .list.map((mount) => [mount.at('name').text, mount.at('mountPath').text])
  )
  const volumes = [
    ...pod.at('volumes').list.map((volume) => volume.at('name').text),
    ...set.at('volumeClaimTemplates').list.map((claim) => claim.at('metadata', 'name').text)
  ]
  assert.deepEqual([...mounts.keys()].toSorted(), volumes.toSorted())
  assert.equal(mounts.get('data'), configOf('anneal-0', '').node.data)
  const file = container
    .at('env')
    .list.find((variable) => variable.at('name').text === 'ANNEAL_CLUSTER_SECRET_FILE')
  assert.equal(dirname(file?.at('value').text ?? ''), mounts.get('cluster-secret'))
})

test('pods keep to the restricted profile, and know nothing of services and the API', () => {
  const whole = pod.at('securityContext')
  assert.equal(whole.at('runAsNonRoot').value, true)
  assert.equal(whole.at('seccompProfile', 'type').text, 'RuntimeDefault')
  const own = container.at('securityContext')
  assert.equal(own.at('allowPrivilegeEscalation').value, false)
  assert.equal(own.at('readOnlyRootFilesystem').value, true)
  assert.deepEqual(own.at('capabilities', 'drop').texts, ['ALL'])
  assert.equal(pod.at('automountServiceAccountToken').value, false)
  // With service links the pod would get ANNEAL_PORT and the like, and the node would refuse to start.
  assert.equal(pod.at('enableServiceLinks').value, false)
})

test('a pod has longer to stop than its pause and its drain take', () => {
  const pauseSeconds = container.at('lifecycle', 'preStop', 'sleep', 'seconds').number
  const { drainMs } = configOf('anneal-0', '').http
  assert.ok(pod.at('terminationGracePeriodSeconds').number >= 2 * (pauseSeconds + drainMs / 1000))
})

test('the monitor scrapes every pod once', () => {
  const path = 'deploy/kubernetes/components/service-monitor/service-monitor.yaml'
  const monitor = readOnlyYaml(path).at('spec')
  const scraped = [peers, client].filter((service) =>
    isSelected(monitor.at('selector', 'matchLabels'), service.at('metadata', 'labels').record)
  )
  assert.deepEqual(scraped, [client])
  const port = monitor.at('endpoints', 0, 'port').text
  assert.ok(client.at('spec', 'ports').list.some((each) => each.at('name').text === port))
})
