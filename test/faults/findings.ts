import type { KeyHistory } from '../sim/key-history.ts'

const shownMax = 8
const eventsShown = 25

/** What was counted and what was found wrong in one scenario. */
export class Findings {
  acknowledged = 0
  unanswered = 0
  /** Acknowledged writes that are gone, by key and write. */
  readonly lost = new Set<string>()
  /** Reads with bytes that nobody wrote to that key. */
  wrongBytes = 0
  /** Overwritten or deleted values that came back, by key and what was said. */
  readonly returned = new Set<string>()
  /** Everything else that must not be: an unknown answer, a node that does not become ready, a missing message. */
  readonly surprises = new Set<string>()
  readonly #reports: string[] = []

  add(history: KeyHistory, where: string, wrong: readonly string[]): void {
    for (const detail of wrong) {
      const isNew = this.#count(history, detail)
      if (!isNew || this.#reports.length >= shownMax) continue
      const events = history.events.slice(-eventsShown)
      const lines = events.map(({ atMs, text }) => `      ${Math.round(atMs)} ms  ${text}`)
      this.#reports.push([`${history.name}: ${where} ${detail}`, ...lines].join('\n'))
    }
  }

  /** The keys of which anything was found wrong. */
  get wrongKeys(): ReadonlySet<string> {
    return new Set([...this.lost, ...this.returned].map((entry) => entry.split(' ')[0] ?? ''))
  }

  /** More on what was found, for people. */
  explain(text: string): void {
    if (this.#reports.length < 2 * shownMax) this.#reports.push(text)
  }

  surprise(what: string): void {
    this.surprises.add(what)
  }

  /** The first findings with the ends of their keys' histories. */
  get reports(): readonly string[] {
    return [...this.#reports, ...[...this.surprises].slice(0, shownMax)]
  }

  get isClean(): boolean {
    const { lost, wrongBytes, returned, surprises } = this
    return lost.size + wrongBytes + returned.size + surprises.size === 0
  }

  #count(history: KeyHistory, detail: string): boolean {
    const missing = /^does not show (\d+)/.exec(detail)
    if (missing !== null) return addTo(this.lost, `${history.name} ${missing[1]}`)
    if (/nobody wrote|twice/.test(detail)) {
      this.wrongBytes++
      return true
    }
    return addTo(this.returned, `${history.name} ${detail}`)
  }
}

function addTo(set: Set<string>, entry: string): boolean {
  if (set.has(entry)) return false
  set.add(entry)
  return true
}
