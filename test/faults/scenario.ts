import type { Arena } from './arena.ts'

/** What a scenario needs beyond processes and files. */
export type Need = 'namespaces' | 'python3' | 'ext4' | 'tun' | 'faketime'

/** One kind of fault: how it is made, and what must hold while and after it. */
export interface Scenario {
  readonly name: string
  /** One line for people. */
  readonly what: string
  readonly rounds: number
  readonly quickRounds: number
  readonly needs: readonly Need[]
  /** A scenario that shows that its fault is one: it fails where nothing is lost. */
  readonly mustLose?: boolean
  run(arena: Arena): Promise<void>
}
