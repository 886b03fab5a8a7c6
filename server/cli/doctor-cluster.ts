import type { AnnealClient } from '../../client/client.ts'
import { AnnealClientError } from '../../client/client-error.ts'
import type { ClusterStatus } from '../../client/types.ts'
import { surveyMembers } from './cluster-survey.ts'
import { type Check, clusterCheck, gradeAbove } from './doctor-check.ts'
import { checkNodes } from './doctor-nodes.ts'
import { checkRepair } from './doctor-repair.ts'
import { statusReport } from './status-report.ts'

const probeTimeoutMs = 2000
/** A Date header counts whole seconds. */
const dateResolutionMs = 1000
const skewMs = { warn: 2000, fail: 60_000 }

/** Looks at the cluster from here: who answers, which versions run, how far the clocks are apart. */
export async function checkCluster(client: AnnealClient): Promise<readonly Check[]> {
  let entry: ClusterStatus
  try {
    entry = await client.status()
  } catch (thrown) {
    if (!(thrown instanceof AnnealClientError)) throw thrown
    const advice = 'start a node, or name one with --node'
    // Nothing was reached at all, so that this cannot be called a degraded cluster.
    return [
      { ...clusterCheck('reachability', 'fail', thrown.message, advice), isAboutCluster: false }
    ]
  }
  const answers = await surveyMembers(entry)
  const report = statusReport(entry, answers, null)
  const urls = report.members
    .filter((member) => member.reachable)
    .map(({ id, http, uptimeSeconds }) => ({ id, url: baseUrl(http), uptimeSeconds }))
  const down = report.members.filter((member) => !member.reachable).map(({ id }) => id)
  const clocks = await clockSkew(urls)
  const [nodes, healing] = await Promise.all([checkNodes(urls), checkRepair(urls, down)])
  return [reachability(report), versionMix(report), clocks, ...nodes, ...healing]
}

type Report = ReturnType<typeof statusReport>

function reachability(report: Report): Check {
  const reached = report.members.filter((member) => member.reachable).length
  const finding = [`${reached} of ${report.members.length} members answer`, ...report.problems]
  const advice = 'look at the logs of the nodes named, and at the network between them'
  const outcome = report.degraded ? 'fail' : 'ok'
  return clusterCheck('reachability', outcome, finding.join('; '), advice)
}

function versionMix(report: Report): Check {
  const [mix] = report.notes
  if (mix !== undefined) {
    return clusterCheck('versions', 'warn', mix, 'finish the upgrade: a mix is meant to be short')
  }
  const version = report.members.find((member) => member.version !== null)?.version ?? 'unknown'
  return clusterCheck('versions', 'ok', `${version} everywhere`, '')
}

interface Probe {
  readonly id: string
  /** The node's clock minus this machine's. */
  readonly offsetMs: number
  /** Half the round trip, and half the resolution of the header. */
  readonly uncertaintyMs: number
}

async function clockSkew(nodes: readonly { id: string; url: string }[]): Promise<Check> {
  const probed = await Promise.all(nodes.map(({ id, url }) => probeClock(id, url)))
  const probes = probed.filter((probe) => probe !== null).sort((a, b) => a.offsetMs - b.offsetMs)
  const [slowest] = probes
  const fastest = probes.at(-1)
  if (slowest === undefined || fastest === undefined || probes.length < nodes.length) {
    const advice = 'something between here and the nodes removes the Date header; ask them directly'
    return clusterCheck('clocks', 'warn', 'not every node tells its time', advice)
  }
  const apart = fastest.offsetMs - slowest.offsetMs
  const certainMs = Math.max(0, apart - fastest.uncertaintyMs - slowest.uncertaintyMs)
  const finding =
    certainMs === 0
      ? 'no difference beyond what can be measured (about a second)'
      : `${fastest.id} is ${(certainMs / 1000).toFixed(1)} s or more ahead of ${slowest.id}`
  const advice =
    'keep the clocks in step (chrony, systemd-timesyncd): `lww` buckets, expiry and Last-Modified depend on them'
  return clusterCheck('clocks', gradeAbove(certainMs, skewMs), finding, advice)
}

/** Cristian's algorithm with one exchange: the server's time belongs to the middle of the round trip. */
async function probeClock(id: string, url: string): Promise<Probe | null> {
  try {
    const sentAt = Date.now()
    const answer = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(probeTimeoutMs) })
    const receivedAt = Date.now()
    await answer.arrayBuffer()
    const serverMs = Date.parse(answer.headers.get('date') ?? '')
    if (Number.isNaN(serverMs)) return null
    const offsetMs = serverMs + dateResolutionMs / 2 - (sentAt + receivedAt) / 2
    return { id, offsetMs, uncertaintyMs: (receivedAt - sentAt + dateResolutionMs) / 2 }
  } catch {
    return null
  }
}

function baseUrl(address: string): string {
  return /^https?:\/\//.test(address) ? address.replace(/\/$/, '') : `http://${address}`
}
