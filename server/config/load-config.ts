import { Value } from 'typebox/value'
import { assert } from '../../core/assert.ts'
import { ConfigError } from './config-error.ts'
import { crossCheck } from './cross-check.ts'
import { type Environment, environmentLayer } from './environment-layer.ts'
import { fileLayer } from './file-layer.ts'
import { type ConfigFlags, flagLayer } from './flag-layer.ts'
import { Layer, type ReadFile } from './layer.ts'
import { type Config, configSchema } from './schema.ts'
import { settings } from './settings.ts'

export interface ConfigSources {
  readonly flags: ConfigFlags
  readonly env: Environment
  /** Reads the configuration file and the files that hold secrets; the only effect. */
  readonly readFile: ReadFile
}

/**
 * Builds the configuration of a node. Precedence: flags, environment, file, defaults.
 *
 * Errors: ConfigError with every problem of every source, also with values that a stronger source overrides: a mistake
 * that is hidden today shows up on the day the stronger source goes away.
 */
export function loadConfig(sources: ConfigSources): Config {
  const { flags, env, readFile } = sources
  const file = flags.config === undefined ? new Layer() : fileLayer(flags.config, readFile)
  const layers = [flagLayer(flags), environmentLayer(env, readFile), file]
  const problems = layers.flatMap((layer) => layer.problems)
  if (problems.length > 0) throw new ConfigError(problems)

  const config = build(layers)
  const contradictions = crossCheck(config)
  if (contradictions.length > 0) throw new ConfigError(contradictions)
  return config
}

/** The first layer that has a value wins. */
function build(strongestFirst: readonly Layer[]): Config {
  const root = new Map<string, unknown>()
  const groups = new Map<string, Map<string, unknown>>()
  for (const setting of settings) {
    const layer = strongestFirst.find((candidate) => candidate.values.has(setting.path))
    const value = layer === undefined ? setting.default : layer.values.get(setting.path)
    const [group = '', key] = setting.path.split('.')
    if (key === undefined) {
      root.set(group, value)
      continue
    }
    const members = groups.get(group) ?? new Map<string, unknown>()
    groups.set(group, members.set(key, value))
  }
  const node = groups.get('node')
  node?.set('data', String(node.get('data')).replaceAll('{id}', String(node.get('id'))))
  for (const [group, members] of groups) root.set(group, Object.fromEntries(members))

  const config: unknown = structuredClone(Object.fromEntries(root))
  assert(Value.Check(configSchema, config), 'checked settings make a valid configuration')
  return deepFreeze(config)
}

/** The configuration is shared by everything in the process; nobody may change it under the others. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
