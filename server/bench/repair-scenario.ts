/** How the replicas differ before a repair that is measured, and what else goes on while it runs. */
export interface RepairScenario {
  /** As it is written on the command line. */
  readonly name: string
  /** Keys of which one replica holds an older version; `all`: that replica holds nothing. */
  readonly stale: number | 'all'
  readonly underLoad: boolean
}

export const defaultScenarios = '0,3,1000,100000,empty,1000+load'

const pattern = /^(?<stale>empty|[0-9]{1,9})(?<load>\+load)?$/

/** Reads `0,3,empty,1000+load`. Errors: TypeError that names the part that makes no sense. */
export function parseScenarios(text: string): readonly RepairScenario[] {
  return text.split(',').map((part) => {
    const name = part.trim()
    const groups = pattern.exec(name)?.groups
    if (groups === undefined) {
      throw new TypeError(
        `a scenario is a number of keys or \`empty\`, each with \`+load\` behind it or not, unlike: ${name}`
      )
    }
    const { stale, load } = groups
    return {
      name,
      stale: stale === 'empty' ? 'all' : Number(stale),
      underLoad: load !== undefined
    }
  })
}
