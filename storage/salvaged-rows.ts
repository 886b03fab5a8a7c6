import { checkpointsRange, dirtyRange } from './keys.ts'
import { watermarkRows } from './watermark-store.ts'

const knowledge = [checkpointsRange, dirtyRange, watermarkRows].map(({ from }) => from[0])

/**
 * Whether a salvage keeps the row. It leaves out what a node wrote down about its rows, because they are not those any
 * more: some are missing, and some are as they were before. Trees are counted, and proofs made, anew.
 */
export function survivesSalvage(rowKey: Buffer): boolean {
  return !knowledge.includes(rowKey[0])
}
