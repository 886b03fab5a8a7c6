import { AnnealClient } from '../../client/client.ts'
import { AnnealClientError } from '../../client/client-error.ts'
import type { HintBacklog, RepairStatus } from '../../client/repair-types.ts'
import { type Check, clusterCheck } from './doctor-check.ts'
import { showDuration } from './table.ts'

const timeoutMs = 5000
/** From so many intervals on it is no delay any more. */
const staleIntervals = 10

/** A node that answers, and for how long it has run. */
interface AskedNode {
  readonly id: string
  readonly url: string
  readonly uptimeSeconds: number | null
}

interface NodeHealing {
  readonly id: string
  readonly uptimeSeconds: number
  /** Null where the node did not answer. */
  readonly repair: RepairStatus | null
  readonly hints: readonly HintBacklog[]
}

/** Looks at what brings replicas together again: how old its knowledge is, whether it may work, what waits for whom. */
export async function checkRepair(
  nodes: readonly AskedNode[],
  down: readonly string[]
): Promise<readonly Check[]> {
  const asked = await Promise.all(nodes.map(ask))
  const answered = asked.flatMap(({ repair, ...rest }) =>
    repair === null ? [] : [{ ...rest, repair }]
  )
  if (answered.length === 0) return []
  return [repairAge(answered), repairPaused(answered), hintsOverdue(answered, down)]
}

async function ask({ id, url, uptimeSeconds }: AskedNode): Promise<NodeHealing> {
  const node = { id, uptimeSeconds: uptimeSeconds ?? 0 }
  try {
    const client = new AnnealClient({ nodes: [url], timeoutMs })
    const [repair, hints] = await Promise.all([client.repair(), client.hints()])
    return { ...node, repair, hints }
  } catch (thrown) {
    // Whether nodes answer is another check; one of an older release has nothing to say here.
    if (!(thrown instanceof AnnealClientError)) throw thrown
    return { ...node, repair: null, hints: [] }
  }
}

type Healing = NodeHealing & { readonly repair: RepairStatus }

function repairAge(nodes: readonly Healing[]): Check {
  const late = nodes.flatMap((node) => {
    const { id, repair } = node
    const { oldestEqualSeconds, neverEqual } = repair.summary
    if (oldestEqualSeconds === null) {
      return neverEqual === 0 || isYoung(node)
        ? []
        : [`${id} was never found equal in ${neverEqual} partitions`]
    }
    if (oldestEqualSeconds <= limitSeconds(repair)) return []
    return [`${id} was last found equal everywhere ${showDuration(oldestEqualSeconds)} ago`]
  })
  const advice =
    '`anneal repair status` says what each peer waits for, and `anneal repair` compares now'
  if (late.length > 0) return clusterCheck('repair age', 'warn', late.join('; '), advice)
  const young = nodes.filter(isYoung).map(({ id }) => id)
  const finding =
    young.length === 0
      ? 'all replicas were compared lately'
      : `${young.join(', ')} started lately and did not compare everything yet`
  return clusterCheck('repair age', 'ok', finding, '')
}

/** It has just started and has had no time yet; one that may not compare will not get there. */
function isYoung({ uptimeSeconds, repair }: Healing): boolean {
  const { neverEqual } = repair.summary
  const mayCompare = repair.background.state !== 'paused'
  return neverEqual > 0 && mayCompare && uptimeSeconds <= limitSeconds(repair)
}

function limitSeconds({ background }: RepairStatus): number {
  return background.intervalSeconds * staleIntervals
}

function repairPaused(nodes: readonly Healing[]): Check {
  const paused = nodes.flatMap(({ id, repair: { background } }) =>
    background.state === 'paused' ? [`${id}: ${background.reason ?? 'paused'}`] : []
  )
  const advice =
    '`anneal repair resume --node URL` where an operator paused it; where it yields to users, they get slow answers'
  return paused.length === 0
    ? clusterCheck('repair', 'ok', 'runs in the background everywhere', '')
    : clusterCheck('repair', 'warn', paused.join('; '), advice)
}

/** Hints for a node that is down wait for it by right; those for others should be gone in a moment. */
function hintsOverdue(nodes: readonly Healing[], down: readonly string[]): Check {
  const overdue = nodes.flatMap(({ id, repair, hints }) =>
    hints
      .filter(({ target, oldestSeconds }) => {
        const limitSeconds = repair.background.intervalSeconds * staleIntervals
        return !down.includes(target) && (oldestSeconds ?? 0) > limitSeconds
      })
      .map(({ target, count }) => `${id} keeps ${count} for ${target}, which is up`)
  )
  const advice =
    'POST /admin/hints/flush tries at once; the log of the target says why it does not take them'
  return overdue.length === 0
    ? clusterCheck('hints', 'ok', 'none wait for a node that is up', '')
    : clusterCheck('hints', 'warn', overdue.join('; '), advice)
}
