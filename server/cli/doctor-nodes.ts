import { type Check, clusterCheck, gradeBelow } from './doctor-check.ts'
import { freeSpace, openFilesWanted } from './doctor-machine.ts'
import { showSize } from './table.ts'

const timeoutMs = 5000
/** Of the files that a node may open: from here on little is left for connections. */
const openFilesShareMax = 0.8

/** Figures of one node by their names; null where it tells none. */
interface NodeFigures {
  readonly id: string
  readonly figures: ReadonlyMap<string, number> | null
}

/** Looks at the machines of the nodes from afar: at what their metrics say of their disks and limits. */
export async function checkNodes(
  nodes: readonly { readonly id: string; readonly url: string }[]
): Promise<readonly Check[]> {
  if (nodes.length === 0) return []
  const asked = await Promise.all(nodes.map(ask))
  return [disks(asked), fileLimits(asked)]
}

async function ask({ id, url }: { id: string; url: string }): Promise<NodeFigures> {
  try {
    const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(timeoutMs) })
    const text = await answer.text()
    return { id, figures: answer.ok ? plainFigures(text) : null }
  } catch {
    // Whether nodes answer is another check.
    return { id, figures: null }
  }
}

/** The metrics without labels, of the exposition format of Prometheus. */
function plainFigures(text: string): ReadonlyMap<string, number> {
  const lines = text.matchAll(/^([a-z_]+) (\S+)$/gm)
  return new Map([...lines].map(([, name = '', value]) => [name, Number(value)]))
}

const severity = { ok: 0, warn: 1, fail: 2 } as const

interface Finding {
  readonly outcome: Check['outcome']
  readonly text: string
}

function worst(findings: readonly Finding[]): Check['outcome'] {
  const outcomes = findings.map(({ outcome }) => outcome)
  return outcomes.sort((a, b) => severity[b] - severity[a])[0] ?? 'ok'
}

function disks(nodes: readonly NodeFigures[]): Check {
  const findings = nodes.flatMap(({ id, figures }): readonly Finding[] => {
    const free = figures?.get('anneal_disk_free_bytes')
    const size = figures?.get('anneal_disk_size_bytes')
    if (free === undefined || size === undefined || !(size > 0)) {
      return [{ outcome: 'warn', text: `${id} does not tell its free disk space` }]
    }
    const { outcome, shown } = freeSpace(free, size)
    if (figures?.get('anneal_disk_writes_refused') === 1) {
      return [{ outcome: 'fail', text: `${id} refuses writes: ${shown}` }]
    }
    return outcome === 'ok' ? [] : [{ outcome, text: `${id}: ${shown}` }]
  })
  const least = Math.min(...nodes.map(({ figures }) => leastFree(figures)))
  const advice =
    'make room on the disk of the node; writes are refused below limits.minFreeDiskBytes, reads go on'
  return findings.length === 0
    ? clusterCheck('disks', 'ok', `${showSize(least)} or more free on every node`, '')
    : clusterCheck('disks', worst(findings), textOf(findings), advice)
}

function leastFree(figures: NodeFigures['figures']): number {
  return figures?.get('anneal_disk_free_bytes') ?? Number.POSITIVE_INFINITY
}

function fileLimits(nodes: readonly NodeFigures[]): Check {
  const thresholds = { warn: openFilesWanted, fail: 0 }
  const findings = nodes.flatMap(({ id, figures }): readonly Finding[] => {
    const max = figures?.get('anneal_process_max_fds')
    const open = figures?.get('anneal_process_open_fds') ?? 0
    // Where there is no such figure the system has none to tell: only Linux does.
    if (max === undefined || Number.isNaN(max)) return []
    if (open > max * openFilesShareMax) {
      return [{ outcome: 'fail', text: `${id} has ${open} of ${max} open` }]
    }
    const outcome = gradeBelow(max, thresholds)
    return outcome === 'ok' ? [] : [{ outcome, text: `${id} may open ${max}` }]
  })
  const advice = `start the node with ${openFilesWanted} or more: \`ulimit -n 65536\`, or LimitNOFILE= in a systemd unit`
  return findings.length === 0
    ? clusterCheck('open files of nodes', 'ok', 'enough on every node', '')
    : clusterCheck('open files of nodes', worst(findings), textOf(findings), advice)
}

function textOf(findings: readonly Finding[]): string {
  return findings.map(({ text }) => text).join('; ')
}
