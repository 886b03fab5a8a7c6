import { emptyTable, mergeTables, type ReportTable } from './report-table.ts'
import { nameOfTable } from './report-table-codec.ts'
import type { ContentName } from './watermark-vector.ts'

/** Two replicas of a partition, the lesser id first. */
export interface Pair {
  readonly a: string
  readonly b: string
}

export function makePair(one: string, other: string): Pair {
  return one < other ? { a: one, b: other } : { a: other, b: one }
}

export function includes({ a, b }: Pair, member: string): boolean {
  return a === member || b === member
}

export function pairsOf(replicas: readonly string[]): Pair[] {
  return replicas.flatMap((one, i) => replicas.slice(i + 1).map((other) => makePair(one, other)))
}

/** That a pair was equal, at or below the table's numbers, in these partitions. */
export interface PairProof {
  readonly pair: Pair
  readonly table: ReportTable
  readonly partitions: readonly number[]
}

/**
 * For each pair of replicas and each partition the table up to whose numbers the two were once found equal. What was
 * proven stays proven: a later table joins the earlier one.
 */
export class PairProofs {
  readonly #partitions: number
  readonly #byPair = new Map<string, { readonly pair: Pair; readonly tables: ReportTable[] }>()
  /** One object for equal tables, so that partitions share them. */
  readonly #tables = new Map<ContentName, ReportTable>()

  constructor(partitions: number) {
    this.#partitions = partitions
  }

  /** Empty where the pair was never proven. */
  tableOf({ a, b }: Pair, partition: number): ReportTable {
    return this.#byPair.get(keyOf(a, b))?.tables[partition] ?? emptyTable
  }

  /** Answers with the partitions in which this is news. */
  note({ pair, table, partitions }: PairProof): number[] {
    const key = keyOf(pair.a, pair.b)
    const known = this.#byPair.get(key)?.tables ?? this.#never()
    const changed: number[] = []
    // Partitions mostly share their tables, and tables may name thousands of incarnations.
    const merged = new Map<ReportTable, ReportTable>()
    for (const partition of partitions) {
      const before = known[partition]
      if (before === undefined) continue
      const after = merged.get(before) ?? this.#intern(merge(before, table))
      merged.set(before, after)
      if (after === before) continue
      known[partition] = after
      changed.push(partition)
    }
    if (changed.length > 0) this.#byPair.set(key, { pair, tables: known })
    return changed
  }

  /** What was proven of one partition counts no more. False where nothing was. */
  drop({ a, b }: Pair, partition: number): boolean {
    const tables = this.#byPair.get(keyOf(a, b))?.tables
    if (tables === undefined || (tables[partition] ?? emptyTable) === emptyTable) return false
    tables[partition] = emptyTable
    return true
  }

  /** All that is known about the pairs that `wanted` picks, gathered by table. */
  *all(wanted: (pair: Pair) => boolean, picked: readonly number[]): Iterable<PairProof> {
    for (const { pair, tables } of this.#byPair.values()) {
      if (!wanted(pair)) continue
      const byTable = new Map<ReportTable, number[]>()
      for (const partition of picked) {
        const table = tables[partition]
        if (table === undefined || table === emptyTable) continue
        const partitions = byTable.get(table)
        if (partitions === undefined) byTable.set(table, [partition])
        else partitions.push(partition)
      }
      for (const [table, partitions] of byTable) yield { pair, table, partitions }
    }
  }

  /** Pairs with a member that is there no more say nothing about today's replicas. */
  forget(isMember: (id: string) => boolean): Pair[] {
    const gone: Pair[] = []
    for (const [key, { pair }] of this.#byPair) {
      if (isMember(pair.a) && isMember(pair.b)) continue
      this.#byPair.delete(key)
      gone.push(pair)
    }
    return gone
  }

  table(name: ContentName): ReportTable | null {
    return this.#tables.get(name) ?? null
  }

  /** Forgets tables that no proof names any more. */
  prune(): void {
    const named = new Set<ReportTable>()
    for (const { tables } of this.#byPair.values()) for (const table of tables) named.add(table)
    for (const [name, table] of this.#tables) if (!named.has(table)) this.#tables.delete(name)
  }

  get tableCount(): number {
    return this.#tables.size
  }

  #never(): ReportTable[] {
    return new Array<ReportTable>(this.#partitions).fill(emptyTable)
  }

  #intern(table: ReportTable): ReportTable {
    if (table === emptyTable) return table
    const name = nameOfTable(table)
    const known = this.#tables.get(name)
    if (known !== undefined) return known
    this.#tables.set(name, table)
    return table
  }
}

/** One of the two where it says all that both say, as is nearly always so. */
function merge(before: ReportTable, table: ReportTable): ReportTable {
  const merged = mergeTables(before, table)
  return merged === before || mergeTables(table, before) !== table ? merged : table
}

function keyOf(a: string, b: string): string {
  return `${a} ${b}`
}
