import { assert } from '../../core/assert.ts'
import type { All, Call, Result, Script } from './calls.ts'

/** Something to be done; its outcome is told under its id. */
export interface Effect {
  readonly id: number
  readonly call: Call
}

export type Outcome =
  | { readonly kind: 'done'; readonly result: Result }
  | { readonly kind: 'failed'; readonly error: unknown }

export type Ending<T> =
  | { readonly kind: 'returned'; readonly value: T }
  | { readonly kind: 'threw'; readonly error: unknown }

interface Task {
  readonly script: Script<void>
  readonly parent: Task | null
  children: Task[]
  open: number
}

/**
 * Runs a script and those that it starts, as a machine: outcomes in, effects out. Scripts that run side by side take
 * turns only where they wait, so what a script does between two calls is one step that nothing interrupts.
 */
export class ScriptMachine<T> {
  readonly #waiting = new Map<number, Task>()
  #effects: Effect[] = []
  #nextId = 1
  #ending: Ending<T> | null = null
  readonly #root: Task

  constructor(script: Script<T>) {
    const root = this.#asRoot(script)
    this.#root = { script: root, parent: null, children: [], open: 0 }
  }

  /** Null while it runs. */
  get ending(): Ending<T> | null {
    return this.#ending
  }

  start(): readonly Effect[] {
    this.#step(this.#root, () => this.#root.script.next(null))
    return this.#taken()
  }

  /** An outcome that nobody waits for (any more) is ignored. */
  resume(id: number, outcome: Outcome): readonly Effect[] {
    const task = this.#waiting.get(id)
    if (task === undefined || this.#ending !== null) return []
    this.#waiting.delete(id)
    const { script } = task
    if (outcome.kind === 'done') this.#step(task, () => script.next(outcome.result))
    else this.#step(task, () => script.throw(outcome.error))
    return this.#taken()
  }

  /** Ends it here: no further effect comes out of it. */
  stop(error: unknown): void {
    if (this.#ending !== null) return
    this.#ending = { kind: 'threw', error }
    this.#waiting.clear()
  }

  *#asRoot(script: Script<T>): Script<void> {
    const value = yield* script
    this.#ending = { kind: 'returned', value }
  }

  #step(task: Task, advance: () => IteratorResult<Call | All, void>): void {
    let next = advance
    for (;;) {
      let step: IteratorResult<Call | All, void>
      try {
        step = next()
      } catch (error) {
        return this.#threw(task, error)
      }
      if (step.done === true) return this.#returned(task)
      const { value } = step
      if (value.kind !== 'all') return this.#await(task, value)
      if (value.scripts.length > 0) return this.#spawn(task, value.scripts)
      next = () => task.script.next(null)
    }
  }

  #await(task: Task, call: Call): void {
    const id = this.#nextId++
    this.#waiting.set(id, task)
    this.#effects.push({ id, call })
  }

  #spawn(parent: Task, scripts: readonly Script<void>[]): void {
    const children = scripts.map((script): Task => ({ script, parent, children: [], open: 0 }))
    parent.children = children
    parent.open = children.length
    for (const child of children) {
      // One that failed at its first step has taken the others with it.
      if (parent.children !== children || this.#ending !== null) return
      this.#step(child, () => child.script.next(null))
    }
  }

  #returned(task: Task): void {
    const { parent } = task
    if (parent === null) return assert(this.#ending !== null, 'a script that ends has a result')
    parent.open--
    if (parent.open > 0) return
    parent.children = []
    this.#step(parent, () => parent.script.next(null))
  }

  #threw(task: Task, error: unknown): void {
    const { parent } = task
    if (parent === null) return this.stop(error)
    for (const child of parent.children) this.#abandon(child)
    parent.children = []
    this.#step(parent, () => parent.script.throw(error))
  }

  #abandon(task: Task): void {
    for (const [id, other] of this.#waiting) if (other === task) this.#waiting.delete(id)
    for (const child of task.children) this.#abandon(child)
    task.children = []
  }

  #taken(): readonly Effect[] {
    const effects = this.#effects
    this.#effects = []
    return this.#ending === null || this.#ending.kind === 'returned' ? effects : []
  }
}
