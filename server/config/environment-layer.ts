import { unknownName } from './config-error.ts'
import { Layer, type ReadFile, readFailure } from './layer.ts'
import { nearestName } from './nearest-name.ts'
import { readText, type Setting, settings } from './settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Variables of the program that are not settings of a node. */
const otherVariables = new Set(['ANNEAL_NODE', 'ANNEAL_PARENT_PIPE'])
const fileSuffix = '_FILE'

const settingsByVariable = new Map<string, Setting>(
  settings.flatMap((setting) => setting.variables.map((variable) => [variable, setting] as const))
)

const secretsByFileVariable = new Map<string, Setting>(
  [...settingsByVariable]
    .filter(([, setting]) => setting.secret)
    .map(([variable, setting]) => [`${variable}${fileSuffix}`, setting])
)

const knownVariables = new Map([...settingsByVariable, ...secretsByFileVariable])

/** The settings among the environment variables: every one that starts with ANNEAL_ must be known. */
export function environmentLayer(env: Environment, readFile: ReadFile): Layer {
  const layer = new Layer()
  for (const [variable, written] of Object.entries(env).sort()) {
    if (!variable.startsWith('ANNEAL_') || otherVariables.has(variable)) continue
    if (written === undefined) continue
    const source = `variable ${variable}`
    const setting = settingsByVariable.get(variable)
    const secret = secretsByFileVariable.get(variable)
    if (setting !== undefined) layer.set(setting, readText(setting, written), source)
    else if (secret !== undefined) setFromFile(layer, secret, written, source, readFile)
    else layer.problem(variable, 'environment', unknownName(variable, written, meantBy(variable)))
  }
  return layer
}

function setFromFile(
  layer: Layer,
  setting: Setting,
  path: string,
  source: string,
  readFile: ReadFile
): void {
  try {
    // Editors and `echo` end a file with a newline that nobody means to be part of the secret.
    layer.set(setting, readFile(path).replace(/\r?\n$/, ''), source)
  } catch (thrown) {
    layer.problem(setting.path, source, readFailure(path, thrown))
  }
}

function meantBy(variable: string): { readonly name: string; readonly setting: Setting } | null {
  const name = nearestName(variable, [...knownVariables.keys()])
  const setting = name === null ? undefined : knownVariables.get(name)
  return name === null || setting === undefined ? null : { name, setting }
}
