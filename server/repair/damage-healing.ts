import type { ObjectKey } from '../../storage/keys.ts'

export interface DamageHealingOptions {
  /** Keys whose rows are known to be damaged on this node, the next ones in turn. */
  readonly damagedKeys: (countMax: number) => readonly ObjectKey[]
  /** A read from all replicas, which gives a damaged one what the others hold, if only that they hold nothing. */
  readonly readFromAll: (key: ObjectKey) => Promise<unknown>
}

const keysMax = 16

/**
 * Damaged rows are mended by exchanges, as long as others hold something of them. Where nobody does any more, as after a
 * delete that has been collected, nothing is there to be shipped, and the row would stay unreadable, which is neither
 * an answer to a read nor none. So each damaged row is looked up on all replicas until they all have answered.
 */
export async function healDamage({
  damagedKeys,
  readFromAll
}: DamageHealingOptions): Promise<void> {
  // A read fails as long as the damaged replica is one of those that it needs; what it repairs is what counts.
  await Promise.allSettled(damagedKeys(keysMax).map(readFromAll))
}
