import type { Surveyed } from '../../proto/frames.ts'
import type { Node } from '../node.ts'
import { surveyOf } from '../survey.ts'

export type MemberView = Omit<Surveyed, 'kind'>

const timeoutMs = 1500

/** What the members say of themselves and of each other, as they were last asked over the links between nodes. */
export class MemberViews {
  readonly #node: Node
  readonly #views = new Map<string, MemberView>()
  readonly #asked = new Set<string>()

  constructor(node: Node) {
    this.#node = node
  }

  /** Null for a member that has not answered, or not the last time. */
  of(id: string): MemberView | null {
    if (id !== this.#node.id) return this.#views.get(id) ?? null
    const { kind: _, ...view } = surveyOf(this.#node)
    return view
  }

  /** Asks everybody who is not being asked already. */
  refresh(): void {
    const { cluster, peers, id: self } = this.#node
    for (const { id, state } of cluster.document.members.values()) {
      if (id === self || this.#asked.has(id)) continue
      if (state === 'removed' || !peers.isUp(id)) {
        this.#views.delete(id)
        continue
      }
      this.#asked.add(id)
      peers.request(id, 'small', { kind: 'survey' }, timeoutMs, (outcome) => {
        this.#asked.delete(id)
        if (outcome.kind !== 'surveyed') {
          this.#views.delete(id)
          return
        }
        const { kind: _, up, down, ...view } = outcome
        const isMember = (other: string) => cluster.member(other) !== undefined
        this.#views.set(id, { ...view, up: up.filter(isMember), down: down.filter(isMember) })
      })
    }
  }

  forget(): void {
    this.#views.clear()
  }
}
