import type { Mutant } from './mutant.ts'
import { repairMutants } from './repair-mutants.ts'
import { serverMutants } from './server-mutants.ts'
import { storageMutants } from './storage-mutants.ts'

/** Every mutant; names are unique. */
export const mutants: readonly Mutant[] = [...storageMutants, ...serverMutants, ...repairMutants]
