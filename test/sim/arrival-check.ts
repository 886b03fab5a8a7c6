import type { Node } from '../../server/node.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { ConflictMode, Versions } from '../../storage/version.ts'
import { formatDot } from '../../storage/version-vector.ts'
import { hasMet } from './claim-check.ts'

export interface ArrivalCheckOptions {
  readonly mode: ConflictMode
  /** How often rows were changed behind the back of their nodes, so far. */
  readonly tampered: () => number
  readonly violation: (key: ObjectKey, detail: string) => void
}

/**
 * An object that a node takes it takes whole: when it has said so, it holds every version of it, or what has overwritten
 * that. Looks at every object that arrives at the node from now on, and changes neither what happens nor when.
 */
export function watchArrivals(node: Node, options: ArrivalCheckOptions): void {
  const { reception } = node.arriving
  const receive = reception.receive.bind(reception)
  reception.receive = (key, arriving, sender, bytes) => {
    const before = options.tampered()
    const outcome = receive(key, arriving, sender, bytes)
    const atOnce = heldBy(node, key)
    void outcome.then(
      ({ kind }) => {
        if (kind !== 'taken' || options.tampered() !== before) return
        const now = heldBy(node, key)
        const lacking = arriving.filter((version) =>
          [atOnce, now].every((held) => held !== null && !hasMet(held, version, options.mode))
        )
        const [first] = lacking
        if (first === undefined) return
        const dots = arriving.map(({ dot }) => formatDot(dot)).join(', ')
        options.violation(key, `${node.id} has taken ${dots}, but not ${formatDot(first.dot)}`)
      },
      () => {}
    )
    return outcome
  }
}

/** Null where that cannot be said. */
function heldBy({ store }: Node, key: ObjectKey): Versions | null {
  try {
    return store.read(key)?.versions ?? []
  } catch {
    return null
  }
}
