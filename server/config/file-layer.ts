import { LineCounter, parseDocument } from 'yaml'
import { showValue, unknownName } from './config-error.ts'
import { Layer, type ReadFile, readFailure } from './layer.ts'
import { isGroup, nearestSetting, settingAt, settingsInGroup } from './settings.ts'

/** The settings of a YAML file. */
export function fileLayer(path: string, readFile: ReadFile): Layer {
  const layer = new Layer()
  const source = `file ${path}`
  let content: string
  try {
    content = readFile(path)
  } catch (thrown) {
    layer.problem('--config', source, readFailure(path, thrown))
    return layer
  }
  const root = parse(content, layer, source)
  if (root instanceof Map) readMap(root, '', layer, source)
  else if (root !== null && root !== undefined) {
    layer.problem('--config', source, 'must be a map of settings, such as "node: {id: n1}"')
  }
  return layer
}

/** The document as Maps, so that keys of the file never become properties; null where it is empty or wrong. */
function parse(content: string, layer: Layer, source: string): unknown {
  const lineCounter = new LineCounter()
  // The pretty messages quote the lines in question, which may hold a secret.
  const document = parseDocument(content, { lineCounter, prettyErrors: false })
  for (const error of [...document.errors, ...document.warnings]) {
    const { line, col } = lineCounter.linePos(error.pos[0])
    const words = error.code.toLowerCase().replaceAll('_', ' ')
    layer.problem('--config', source, `is not valid YAML at line ${line}, column ${col}: ${words}`)
  }
  if (layer.problems.length > 0) return null
  try {
    return document.toJS({ mapAsMap: true, maxAliasCount: 100 })
  } catch {
    layer.problem(
      '--config',
      source,
      'cannot be expanded: an alias is unknown or there are too many'
    )
    return null
  }
}

function readMap(map: Map<unknown, unknown>, prefix: string, layer: Layer, source: string): void {
  for (const [key, value] of map) {
    const path = `${prefix}${typeof key === 'string' ? key : showValue(key)}`
    const setting = settingAt(path)
    if (setting !== undefined) layer.set(setting, plain(value), source)
    else if (prefix === '' && isGroup(path)) readGroup(path, value, layer, source)
    else {
      const meant = nearestSetting(path)
      const named = meant === null ? null : { name: meant.path, setting: meant }
      layer.problem(shortened(path), source, unknownName(path, value, named))
    }
  }
}

function readGroup(group: string, value: unknown, layer: Layer, source: string): void {
  if (value instanceof Map) readMap(value, `${group}.`, layer, source)
  else if (value !== null) {
    const members = settingsInGroup(group)
    const shown = members.some((member) => member.secret) ? 'the value' : showValue(value)
    const names = members.map((member) => member.path.slice(group.length + 1)).join(', ')
    layer.problem(group, source, `${shown} is not allowed; it is a group that takes ${names}`)
  }
}

/** Maps of the YAML reader as objects, for the one kind of setting that is a map. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (!(value instanceof Map)) return value
  return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]))
}

function shortened(path: string): string {
  return path.length <= 80 ? path : `${path.slice(0, 80)}…`
}
