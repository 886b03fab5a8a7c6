import { type TUnsafe, Type } from 'typebox'
import { byteSizePattern, formatByteSize } from './byte-size.ts'

/** How a setting is written where only text is available: in the environment and in flags. */
export type SettingKind =
  | 'text'
  | 'integer'
  | 'fraction'
  | 'boolean'
  | 'bytes'
  | 'duration'
  | 'quorum'
  | 'list'
  | 'map'

/** What is known of a setting beyond its JSON Schema; kept in the schema under the keyword `setting`. */
export interface SettingFacts {
  readonly kind: SettingKind
  /** The end of the sentence "it takes …". */
  readonly allowed: string
  readonly secret: boolean
  readonly nullable: boolean
}

/** The names that a quorum may have instead of a number; `quorum` is a majority of the replicas. */
export const quorumNames = ['one', 'quorum', 'all', 'local_quorum', 'each_quorum'] as const

export type Quorum = number | (typeof quorumNames)[number]

interface Limits {
  readonly minimum: number
  readonly maximum: number
}

/** What Node's timers can hold, a little below 25 days. */
const timerMsMax = 2 ** 31 - 1
const namePattern = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'
const hostPattern = '(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]+)'
const portPattern =
  '([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])'
const reachablePattern = `^${hostPattern}:(?!0+$)${portPattern}$`
const nameWords = 'up to 64 letters, digits, dots, dashes and underscores'

function setting<Value>(
  facts: Pick<SettingFacts, 'kind' | 'allowed'> & Partial<SettingFacts>,
  jsonSchema: object,
  defaultValue: Value,
  description: string
): TUnsafe<Value> {
  const nullable = facts.nullable ?? false
  const accepted = nullable ? { anyOf: [jsonSchema, { type: 'null' }] } : jsonSchema
  return Type.Unsafe<Value>({
    ...accepted,
    default: defaultValue,
    description,
    setting: { secret: false, ...facts, nullable }
  })
}

export function text(defaultValue: string, description: string): TUnsafe<string> {
  const allowed = 'a text of 1 to 4096 characters'
  const jsonSchema = { type: 'string', minLength: 1, maxLength: 4096 }
  return setting({ kind: 'text', allowed }, jsonSchema, defaultValue, description)
}

/** A text that is never shown, logged or listed, and that may also come from a file of its own. */
export function secret(description: string): TUnsafe<string | null> {
  const allowed = 'a text that is not empty (quote it in YAML)'
  const facts = { kind: 'text', allowed, secret: true, nullable: true } as const
  const jsonSchema = { type: 'string', minLength: 1, maxLength: 4096 }
  return setting<string | null>(facts, jsonSchema, null, description)
}

/** A name that ends up in file names, labels and log lines, and must not surprise any of them. */
export function name(defaultValue: string, description: string): TUnsafe<string> {
  const allowed = `${nameWords}, the first a letter or digit`
  const jsonSchema = { type: 'string', pattern: namePattern }
  return setting({ kind: 'text', allowed }, jsonSchema, defaultValue, description)
}

/** A name that may be left empty. */
export function optionalName(description: string): TUnsafe<string> {
  const allowed = `${nameWords}, or nothing`
  const jsonSchema = { type: 'string', pattern: '^[A-Za-z0-9._-]{0,64}$' }
  return setting({ kind: 'text', allowed }, jsonSchema, '', description)
}

/** An address to listen on; port 0 lets the operating system choose. */
export function listenAddress(defaultValue: string, description: string): TUnsafe<string> {
  const allowed = 'host:port, such as 127.0.0.1:8801 or [::1]:8801'
  const jsonSchema = { type: 'string', pattern: `^${hostPattern}:${portPattern}$` }
  return setting({ kind: 'text', allowed }, jsonSchema, defaultValue, description)
}

/** An address that others connect to; null where it follows from another setting. */
export function advertisedAddress(description: string): TUnsafe<string | null> {
  const allowed = 'host:port as the other side reaches it, such as 10.0.0.7:9801'
  const facts = { kind: 'text', allowed, nullable: true } as const
  const jsonSchema = { type: 'string', pattern: reachablePattern }
  return setting<string | null>(facts, jsonSchema, null, description)
}

export function addressList(description: string): TUnsafe<string[]> {
  const allowed = 'a list of host:port (in the environment and in flags: separated by commas)'
  const items = { type: 'string', pattern: reachablePattern }
  const jsonSchema = { type: 'array', items, maxItems: 1024 }
  return setting<string[]>({ kind: 'list', allowed }, jsonSchema, [], description)
}

export function choice<const Value extends string>(
  values: readonly Value[],
  defaultValue: Value,
  description: string
): TUnsafe<Value> {
  const allowed = `one of ${values.join(', ')}`
  return setting({ kind: 'text', allowed }, { enum: values }, defaultValue, description)
}

export function flag(defaultValue: boolean, description: string): TUnsafe<boolean> {
  const facts = { kind: 'boolean', allowed: 'true or false' } as const
  return setting(facts, { type: 'boolean' }, defaultValue, description)
}

export function integer(
  limits: Limits,
  defaultValue: number,
  description: string
): TUnsafe<number> {
  const allowed = `a whole number from ${limits.minimum} to ${limits.maximum}`
  const jsonSchema = { type: 'integer', ...limits }
  return setting({ kind: 'integer', allowed }, jsonSchema, defaultValue, description)
}

export function integerOneOf(
  values: readonly number[],
  defaultValue: number,
  description: string
): TUnsafe<number> {
  const allowed = `one of ${values.join(', ')}`
  return setting({ kind: 'integer', allowed }, { enum: values }, defaultValue, description)
}

export function fraction(
  limits: Limits,
  defaultValue: number,
  description: string
): TUnsafe<number> {
  const allowed = `a number from ${limits.minimum} to ${limits.maximum}`
  const jsonSchema = { type: 'number', ...limits }
  return setting({ kind: 'fraction', allowed }, jsonSchema, defaultValue, description)
}

/** Milliseconds. Durations that are not given to a timer may pass `maximum`. */
export function durationMs(
  limits: Partial<Limits>,
  defaultValue: number,
  description: string
): TUnsafe<number> {
  const { minimum = 0, maximum = timerMsMax } = limits
  const allowed = `a whole number of milliseconds from ${minimum} to ${maximum}`
  const jsonSchema = { type: 'integer', minimum, maximum }
  return setting({ kind: 'duration', allowed }, jsonSchema, defaultValue, description)
}

function byteSizeSchema(limits: Limits): object {
  return {
    anyOf: [
      { type: 'integer', ...limits },
      { type: 'string', pattern: byteSizePattern }
    ]
  }
}

function byteSizeWords(limits: Limits): string {
  const range = `from ${formatByteSize(limits.minimum)} to ${formatByteSize(limits.maximum)}`
  return `a size ${range}: a whole number of bytes or a text such as "16 MiB" (B, KiB, MiB, GiB, TiB)`
}

/** A number of bytes; a file or variable may also say "16 MiB". */
export function byteSize(
  limits: Limits,
  defaultValue: number,
  description: string
): TUnsafe<number> {
  const facts = { kind: 'bytes', allowed: byteSizeWords(limits) } as const
  return setting(facts, byteSizeSchema(limits), defaultValue, description)
}

/** Like byteSize; null where the size follows from something that only the running node knows. */
export function derivedByteSize(limits: Limits, description: string): TUnsafe<number | null> {
  const facts = {
    kind: 'bytes',
    allowed: `${byteSizeWords(limits)}, or null`,
    nullable: true
  } as const
  return setting<number | null>(facts, byteSizeSchema(limits), null, description)
}

export function quorum(limits: Limits, description: string): TUnsafe<Quorum> {
  const range = `a whole number from ${limits.minimum} to ${limits.maximum}`
  const allowed = `${range}, or one of ${quorumNames.join(', ')}`
  const jsonSchema = { anyOf: [{ type: 'integer', ...limits }, { enum: quorumNames }] }
  return setting<Quorum>({ kind: 'quorum', allowed }, jsonSchema, 'quorum', description)
}

/** Names with a count each; null where the setting is not used. */
export function counts(
  limits: Limits,
  description: string
): TUnsafe<Record<string, number> | null> {
  const range = `whole numbers from ${limits.minimum} to ${limits.maximum}`
  const allowed = `names with ${range} (in the environment and in flags: eu=3,us=3), or null`
  const jsonSchema = {
    type: 'object',
    patternProperties: { [namePattern]: { type: 'integer', ...limits } },
    additionalProperties: false,
    minProperties: 1,
    maxProperties: 64
  }
  const facts = { kind: 'map', allowed, nullable: true } as const
  return setting<Record<string, number> | null>(facts, jsonSchema, null, description)
}
