/**
 * What a log line may hold. Keys and addresses come from outside: none of them may make a line that is gigantic, spans
 * several lines, or moves the terminal's cursor; and what authenticates somebody is never written at all.
 */

export const logStringCharsMax = 512
const stackFramesMax = 12
const entriesMax = 64
const depthMax = 4
const redacted = '[redacted]'

const secretName = /(secret|token|authorization|password)s?$/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the point.
const controlCharacter = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g

/** On one line, without control characters, and at most `logStringCharsMax` characters of the original. */
export function logText(text: string): string {
  const cut =
    text.length <= logStringCharsMax
      ? text
      : `${text.slice(0, logStringCharsMax)}… (${text.length} characters)`
  return cut.replace(controlCharacter, escaped).toWellFormed()
}

function escaped(character: string): string {
  if (character === '\n') return '\\n'
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** A copy of the fields of an event that is safe to write: bounded in every direction, secrets replaced. */
export function logFields(fields: object): Record<string, unknown> {
  return boundedEntries(fields, 0)
}

function boundedEntries(fields: object, depth: number): Record<string, unknown> {
  const all = Object.entries(fields)
  const kept = all.slice(0, entriesMax).map(([name, value]): [string, unknown] => {
    const hidden = secretName.test(name) && value !== undefined && value !== null
    return [logText(name), hidden ? redacted : bounded(value, depth + 1)]
  })
  if (all.length > entriesMax) kept.push(['…', `${all.length - entriesMax} more`])
  return Object.fromEntries(kept)
}

function bounded(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return logText(value)
    case 'bigint':
    case 'symbol':
      return logText(String(value))
    case 'function':
      return '[function]'
    case 'object':
      return value === null ? null : boundedObject(value, depth)
    default:
      return value
  }
}

function boundedObject(value: object, depth: number): unknown {
  if (value instanceof Uint8Array) return boundedBytes(value)
  if (value instanceof Date)
    return Number.isNaN(value.getTime()) ? 'an invalid date' : value.toISOString()
  if (depth > depthMax) return '[deeper]'
  if (value instanceof Error) return boundedError(value, depth)
  if (value instanceof Map || value instanceof Set) return bounded([...value], depth)
  if (!Array.isArray(value)) return boundedEntries(value, depth)
  const kept = value.slice(0, entriesMax).map((entry) => bounded(entry, depth + 1))
  return value.length > entriesMax ? [...kept, `${value.length - entriesMax} more`] : kept
}

function boundedBytes(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, logStringCharsMax / 2)).toString('hex')
  return bytes.length <= logStringCharsMax / 2 ? hex : `${hex}… (${bytes.length} bytes)`
}

// An error's own fields follow its name and message: the code and details of this project, errno of the system's.
function boundedError(error: Error, depth: number): Record<string, unknown> {
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '))
  return {
    name: logText(error.name),
    message: logText(error.message),
    ...boundedEntries(error, depth),
    stack: frames.slice(0, stackFramesMax).map((frame) => logText(frame.trim())),
    ...(error.cause === undefined ? {} : { cause: bounded(error.cause, depth + 1) })
  }
}
