import { AnnealError } from './errors.ts'

/**
 * Checks an invariant of the program itself. Assertions stay on in production: a node that no longer understands its
 * own state must stop before it writes that state down.
 *
 * Errors: throws an AnnealError with code `internal`.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AnnealError('internal', `assertion failed: ${message}`)
}

/** For the branch that the type checker proves dead; reaching it means that a closed set was opened unnoticed. */
export function unreachable(value: never): never {
  throw new AnnealError('internal', `unreachable case: ${JSON.stringify(value)}`)
}
