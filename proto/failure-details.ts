import type { ErrorDetails } from '../core/errors.ts'

/**
 * The facts of an error that one node tells another: those of a write that it coordinates for it. They end up in the
 * answer to a client, next to the fields that every problem has, so nothing else that a peer may say is let through.
 */
const kinds = {
  needed: isCount,
  answered: isCount,
  asked: isCount,
  down: isNames,
  parameter: isName,
  siblings: isCount,
  siblingsMax: isCount
} as const

const textCharactersMax = 16_384
const nameCharactersMax = 256
const namesMax = 64

/** The facts among these that go to other nodes, as JSON; empty for none. */
export function encodeDetails(details: ErrorDetails): string {
  const known = knownOf(details)
  return Object.keys(known).length === 0 ? '' : JSON.stringify(known)
}

/** The facts in what a peer sent. What is unknown, ill-formed or too much is left out: the error is told without it. */
export function decodeDetails(text: string): ErrorDetails {
  if (text === '' || text.length > textCharactersMax) return {}
  try {
    const said: unknown = JSON.parse(text)
    return typeof said === 'object' && said !== null ? knownOf(said) : {}
  } catch {
    return {}
  }
}

function knownOf(said: object): ErrorDetails {
  const known: Record<string, ErrorDetails[string]> = {}
  for (const [name, isValid] of Object.entries(kinds)) {
    const value: unknown = Object.hasOwn(said, name) ? Reflect.get(said, name) : undefined
    if (isValid(value)) known[name] = value
  }
  return known
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= nameCharactersMax
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= namesMax && value.every(isName)
}
