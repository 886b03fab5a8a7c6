import type { Clock } from '../../core/ports.ts'

interface Finding {
  readonly id: string
  readonly atMs: number
}

/** How long a name is taken to lead to the same node still, by whether this node is linked to any other. */
const findingLastsMs = { alone: 2000, linked: 60_000 }

/** Which node was last found at an address. A name may lead to several in turn, so that no finding holds for ever. */
export class FoundNodes {
  readonly #clock: Clock
  readonly #findings = new Map<string, Finding>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(address: string, id: string): void {
    this.#findings.set(address, { id, atMs: this.#clock.monotonic() })
  }

  /** Undefined where nobody was found lately. */
  at(address: string, isLinked: boolean): string | undefined {
    const finding = this.#findings.get(address)
    if (finding === undefined) return undefined
    const ageMs = this.#clock.monotonic() - finding.atMs
    const lastsMs = isLinked ? findingLastsMs.linked : findingLastsMs.alone
    return ageMs < lastsMs ? finding.id : undefined
  }
}
