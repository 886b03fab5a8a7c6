import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { AnnealError } from '../../core/errors.ts'

/** As much of a JSON schema as the sentences below need. */
interface Shape {
  readonly type?: string
  /** `binary`: bytes, which no schema looks into. */
  readonly format?: string
  readonly const?: unknown
  readonly anyOf?: readonly Shape[]
  readonly properties?: Readonly<Record<string, Shape>>
  readonly items?: Shape
  readonly minimum?: number
  readonly maximum?: number
  readonly maxItems?: number
  /** What a pattern lets through, in words. */
  readonly 'x-takes'?: string
}

type Validator = (value: unknown) => true | { readonly error: AnnealError }

const acceptsAll: Validator = () => true

/**
 * Compiles the schema of one part of a request. What comes in a query is text and is converted first; a JSON body is
 * taken literally, since `"ttl": true` is a mistake and not one second. Names in paths are checked with their limits
 * elsewhere, and schemas of headers are there to be read.
 *
 * Errors: `bad_parameter` and `bad_body`, saying which field has which value and what it takes.
 */
export const compileRequestValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  if (httpPart !== 'querystring' && httpPart !== 'body') return acceptsAll
  if ((schema as Shape).format === 'binary') return acceptsAll
  const isQuery = httpPart === 'querystring'
  const validator = Compile(schema)
  const validate: Validator = (value) => {
    if (isQuery) convertQuery(schema, value)
    if (validator.Check(value)) return true
    const failure = validator.Errors(value).find(({ keyword }) => keyword !== 'boolean')
    const path = segmentsOf(failure?.instancePath ?? '')
    if (failure?.keyword === 'additionalProperties') {
      path.push(failure.params.additionalProperties[0] ?? '')
    } else if (failure?.keyword === 'required')
      path.push(failure.params.requiredProperties[0] ?? '')
    return { error: isQuery ? parameterError(schema, value, path) : bodyError(schema, value, path) }
  }
  return validate
}

/** In place, since the query was parsed for this request alone. What cannot be converted is left for the check. */
function convertQuery({ properties }: Shape, query: unknown): void {
  if (!isRecord(query)) return
  for (const name in query) {
    const text = query[name]
    const type = properties?.[name]?.type
    if (typeof text !== 'string') continue
    if (type === 'integer' && /^-?[0-9]{1,15}$/.test(text)) query[name] = Number(text)
    if (type === 'boolean' && /^(true|false)$/.test(text)) query[name] = text === 'true'
  }
}

function parameterError(schema: Shape, query: unknown, path: readonly string[]): AnnealError {
  const [parameter = ''] = path
  const known = Object.keys(schema.properties ?? {})
  const shape = shapeAt(schema, [parameter])
  const value = valueAt(query, [parameter])
  return new AnnealError('bad_parameter', sentence(), { parameter: parameter.slice(0, shownChars) })

  function sentence(): string {
    const name = shape === undefined ? show(parameter) : parameter
    if (shape === undefined) {
      return `${name} is no parameter of this call: it takes ${known.join(', ') || 'none'}`
    }
    if (Array.isArray(value)) return `${name} is given ${value.length} times: give it once`
    return `${name} is ${show(value)}: it must be ${takes(shape)}`
  }
}

function bodyError(schema: Shape, body: unknown, path: readonly string[]): AnnealError {
  const field = fieldName(path)
  const shape = shapeAt(schema, path)
  const value = valueAt(body, path)
  const parent = shapeAt(schema, path.slice(0, -1))
  if (shape === undefined) {
    const known = Object.keys(parent?.properties ?? {}).join(', ')
    return badBody(`${field} is no field of this call: it takes ${known}`, field)
  }
  if (value === undefined || (path.length === 0 && value === null)) {
    return badBody(`${field} is missing: it must be ${takes(shape)}`, field)
  }
  return badBody(`${field} is ${show(value)}: it must be ${takes(shape)}`, field)
}

function badBody(message: string, field: string): AnnealError {
  return new AnnealError('bad_body', message, { field })
}

/** What a schema lets through, as the end of "it must be". */
function takes(shape: Shape): string {
  const { type, anyOf, minimum, maximum, maxItems } = shape
  if (shape['x-takes'] !== undefined) return shape['x-takes']
  if (shape.const !== undefined) return String(shape.const)
  if (anyOf !== undefined) return anyOf.map(takes).join(' or ')
  if (type === 'integer') return `a whole number from ${minimum} to ${maximum}`
  if (type === 'boolean') return 'true or false'
  if (type === 'array') return `a list of at most ${maxItems} entries`
  return type === 'object' ? 'a JSON object' : 'a string'
}

const shownChars = 64

/** A value of whatever kind and size, short enough for a sentence. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length} entries`
  if (typeof value === 'object' && value !== null) return 'a JSON object'
  if (typeof value !== 'string') return String(value)
  return JSON.stringify(value.length <= shownChars ? value : `${value.slice(0, shownChars)}…`)
}

/** `ops[2].key`, as it is written in most languages. */
function fieldName(path: readonly string[]): string {
  if (path.length === 0) return 'the body'
  const [first = '', ...rest] = path.map((segment) => segment.slice(0, shownChars))
  const steps = rest.map((segment) => (/^\d+$/.test(segment) ? `[${segment}]` : `.${segment}`))
  return first + steps.join('')
}

/** The segments of a JSON pointer (RFC 6901). */
function segmentsOf(pointer: string): string[] {
  const [, ...segments] = pointer.split('/')
  return segments.map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function shapeAt(schema: Shape, path: readonly string[]): Shape | undefined {
  let shape: Shape | undefined = schema
  for (const segment of path) {
    const { properties = {} }: Shape = shape ?? {}
    shape = Object.hasOwn(properties, segment) ? properties[segment] : shape?.items
  }
  return shape
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  let value = root
  for (const segment of path) {
    value = isRecord(value) && Object.hasOwn(value, segment) ? value[segment] : undefined
  }
  return value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
