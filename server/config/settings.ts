import { Value } from 'typebox/value'
import { assert } from '../../core/assert.ts'
import { parseByteSize } from './byte-size.ts'
import { nearestName } from './nearest-name.ts'
import { configSchema } from './schema.ts'
import type { SettingFacts } from './setting-kinds.ts'

/** One setting: a leaf of the schema. */
export interface Setting extends SettingFacts {
  /** As in YAML, joined by dots: `repair.intervalMs`. */
  readonly path: string
  /** The variables that set it, the one to recommend first. */
  readonly variables: readonly string[]
  readonly jsonSchema: object
  readonly default: unknown
  readonly description: string
}

/** Shorter variables for what is set most often; the long form works as well. */
const shortVariables = new Map([
  ['node.id', 'ANNEAL_ID'],
  ['node.data', 'ANNEAL_DATA'],
  ['node.http', 'ANNEAL_HTTP'],
  ['node.peer', 'ANNEAL_PEER'],
  ['node.zone', 'ANNEAL_ZONE'],
  ['node.region', 'ANNEAL_REGION'],
  ['cluster.name', 'ANNEAL_CLUSTER_NAME'],
  ['cluster.secret', 'ANNEAL_CLUSTER_SECRET']
])

/** `repair.intervalMs` becomes `ANNEAL_REPAIR__INTERVAL_MS`. */
function longVariable(path: string): string {
  const parts = path
    .split('.')
    .map((part) => part.replaceAll(/[A-Z]/g, (capital) => `_${capital}`).toUpperCase())
  return `ANNEAL_${parts.join('__')}`
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isFacts(value: unknown): value is SettingFacts {
  return (
    isRecord(value) && typeof value['kind'] === 'string' && typeof value['allowed'] === 'string'
  )
}

function collect(properties: object, prefix: string): readonly Setting[] {
  return Object.entries(properties).flatMap(([key, schema]: [string, unknown]) => {
    const path = `${prefix}${key}`
    assert(isRecord(schema), `${path} is a schema`)
    if (isRecord(schema['properties'])) return collect(schema['properties'], `${path}.`)
    const facts = schema['setting']
    assert(isFacts(facts), `${path} is made by one of the functions in setting-kinds`)
    const short = shortVariables.get(path)
    const variables = short === undefined ? [longVariable(path)] : [short, longVariable(path)]
    const description = String(schema['description'])
    return [
      { ...facts, path, variables, jsonSchema: schema, default: schema['default'], description }
    ]
  })
}

/** Every setting, in the order of the schema. */
export const settings: readonly Setting[] = collect(configSchema.properties, '')

const settingsByPath = new Map(settings.map((setting) => [setting.path, setting]))
const paths = settings.map((setting) => setting.path)
const groups = new Set(paths.filter((path) => path.includes('.')).map((path) => path.split('.')[0]))

export function settingAt(path: string): Setting | undefined {
  return settingsByPath.get(path)
}

/** Whether the path names a group of settings, such as `repair`. */
export function isGroup(path: string): boolean {
  return groups.has(path)
}

export function settingsInGroup(group: string): readonly Setting[] {
  return settings.filter((setting) => setting.path.startsWith(`${group}.`))
}

/** The setting that was probably meant, or null where nothing comes near. */
export function nearestSetting(path: string): Setting | null {
  const meant = nearestName(path, paths)
  return meant === null ? null : (settingsByPath.get(meant) ?? null)
}

export type CheckedValue = { readonly ok: true; readonly value: unknown } | { readonly ok: false }

/** Checks one value against its setting and brings sizes such as "16 MiB" into bytes. */
export function checkValue(setting: Setting, given: unknown): CheckedValue {
  const isSizeText = setting.kind === 'bytes' && typeof given === 'string'
  const value = isSizeText ? parseByteSize(given) : given
  if (isSizeText && value === null) return { ok: false }
  return Value.Check(setting.jsonSchema, value) ? { ok: true, value } : { ok: false }
}

/**
 * Reads what was written in a variable or a flag, where everything is text. Text that does not fit the kind is given
 * back as it is, so that the check refuses it with the value as it was written.
 */
export function readText(setting: Setting, written: string): unknown {
  if (setting.nullable && !setting.secret && written === 'null') return null
  switch (setting.kind) {
    case 'text':
      return written
    case 'integer':
    case 'duration':
    case 'bytes':
    case 'quorum':
      return /^-?[0-9]+$/.test(written) ? Number(written) : written
    case 'fraction':
      return /^-?[0-9]+(\.[0-9]+)?$/.test(written) ? Number(written) : written
    case 'boolean':
      return written === 'true' ? true : written === 'false' ? false : written
    case 'list':
      return written.trim() === '' ? [] : written.split(',').map((item) => item.trim())
    case 'map':
      return readMap(written)
  }
}

function readMap(written: string): unknown {
  const entries = written.split(',').map((entry) => /^ *([^ =]+) *= *([0-9]+) *$/.exec(entry))
  const pairs = entries.map((match) => [match?.[1] ?? '', Number(match?.[2])] as const)
  const isDistinct = new Set(pairs.map(([key]) => key)).size === pairs.length
  if (entries.includes(null) || !isDistinct) return written
  return Object.fromEntries(pairs)
}
