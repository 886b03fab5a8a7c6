import { unknownName } from './config-error.ts'
import { Layer } from './layer.ts'
import { isGroup, nearestSetting, readText, settingAt, settingsInGroup } from './settings.ts'

/** What `anneal start` was given on the command line, as text. */
export interface ConfigFlags {
  /** The YAML file. */
  readonly config?: string | undefined
  readonly id?: string | undefined
  readonly data?: string | undefined
  readonly http?: string | undefined
  readonly peer?: string | undefined
  readonly seeds?: string | undefined
  readonly zone?: string | undefined
  readonly region?: string | undefined
  /** Any other setting, each as `path=value`. */
  readonly set?: readonly string[] | undefined
}

const nodeFlags = ['id', 'data', 'http', 'peer', 'zone', 'region'] as const

/** The settings among the flags. */
export function flagLayer(flags: ConfigFlags): Layer {
  const layer = new Layer()
  for (const flag of nodeFlags) setFlag(layer, `node.${flag}`, flag, flags[flag])
  setFlag(layer, 'seeds', 'seeds', flags.seeds)
  for (const assignment of flags.set ?? []) {
    const equals = assignment.indexOf('=')
    const source = 'flag --set'
    if (equals > 0) {
      setPath(layer, assignment.slice(0, equals), assignment.slice(equals + 1), source)
    } else layer.problem('--set', source, 'takes path=value, such as --set repair.intervalMs=30000')
  }
  return layer
}

function setFlag(layer: Layer, path: string, flag: string, written: string | undefined): void {
  if (written !== undefined) setPath(layer, path, written, `flag --${flag}`)
}

function setPath(layer: Layer, path: string, written: string, source: string): void {
  const setting = settingAt(path)
  if (setting !== undefined) {
    layer.set(setting, readText(setting, written), source)
    return
  }
  if (isGroup(path)) {
    const paths = settingsInGroup(path).map((member) => member.path)
    layer.problem(path, source, `is a group and takes no value; set one of ${paths.join(', ')}`)
    return
  }
  const meant = nearestSetting(path)
  const named = meant === null ? null : { name: meant.path, setting: meant }
  layer.problem(path.slice(0, 80), source, unknownName(path, written, named))
}
