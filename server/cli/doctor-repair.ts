import { AnnealClient } from '../../client/client.ts'
import { AnnealClientError } from '../../client/client-error.ts'
import type { HintBacklog, RepairStatus } from '../../client/repair-types.ts'
import type { Check } from './doctor-check.ts'
import { showDuration } from './table.ts'

const timeoutMs = 5000
/** From so many intervals on it is no delay any more. */
const staleIntervals = 10

interface NodeHealing {
  readonly id: string
  /** Null where the node did not answer. */
  readonly repair: RepairStatus | null
  readonly hints: readonly HintBacklog[]
}

/** Looks at what brings replicas together again: how old its knowledge is, whether it may work, what waits for whom. */
export async function checkRepair(
  nodes: readonly { readonly id: string; readonly url: string }[],
  down: readonly string[]
): Promise<readonly Check[]> {
  const asked = await Promise.all(nodes.map(ask))
  const answered = asked.flatMap(({ id, repair, hints }) =>
    repair === null ? [] : [{ id, repair, hints }]
  )
  if (answered.length === 0) return []
  return [repairAge(answered), repairPaused(answered), hintsOverdue(answered, down)]
}

async function ask({ id, url }: { id: string; url: string }): Promise<NodeHealing> {
  try {
    const client = new AnnealClient({ nodes: [url], timeoutMs })
    const [repair, hints] = await Promise.all([client.repair(), client.hints()])
    return { id, repair, hints }
  } catch (thrown) {
    // Whether nodes answer is another check; one of an older release has nothing to say here.
    if (!(thrown instanceof AnnealClientError)) throw thrown
    return { id, repair: null, hints: [] }
  }
}

type Healing = NodeHealing & { readonly repair: RepairStatus }

function repairAge(nodes: readonly Healing[]): Check {
  const late = nodes.flatMap(({ id, repair }) => {
    const { oldestEqualSeconds, neverEqual } = repair.summary
    const limitSeconds = repair.background.intervalSeconds * staleIntervals
    if (oldestEqualSeconds === null) {
      return neverEqual === 0 ? [] : [`${id} was never found equal in ${neverEqual} partitions`]
    }
    if (oldestEqualSeconds <= limitSeconds) return []
    return [`${id} was last found equal everywhere ${showDuration(oldestEqualSeconds)} ago`]
  })
  const advice =
    '`anneal repair status` says what each peer waits for, and `anneal repair` compares now'
  return late.length === 0
    ? check('repair age', 'ok', 'all replicas were compared lately', '')
    : check('repair age', 'warn', late.join('; '), advice)
}

function repairPaused(nodes: readonly Healing[]): Check {
  const paused = nodes.flatMap(({ id, repair: { background } }) =>
    background.state === 'paused' ? [`${id}: ${background.reason ?? 'paused'}`] : []
  )
  const advice =
    '`anneal repair resume --node URL` where an operator paused it; where it yields to users, they get slow answers'
  return paused.length === 0
    ? check('repair', 'ok', 'runs in the background everywhere', '')
    : check('repair', 'warn', paused.join('; '), advice)
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
    ? check('hints', 'ok', 'none wait for a node that is up', '')
    : check('hints', 'warn', overdue.join('; '), advice)
}

function check(name: string, outcome: Check['outcome'], finding: string, advice: string): Check {
  return { name, outcome, finding, advice, isAboutCluster: true }
}
