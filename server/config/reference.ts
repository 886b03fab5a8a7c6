import { formatByteSize } from './byte-size.ts'
import { configSchema } from './schema.ts'
import { type Setting, settings } from './settings.ts'

/** Annotations that the program needs and a reader of the published schema does not. */
const unpublishedKeywords = new Set(['setting', 'required'])

/**
 * The JSON Schema (draft 2020-12) of the configuration file, for editors and other tools. Nothing is required, since
 * every setting has a default.
 */
export function publishedSchema(): string {
  const draft = 'https://json-schema.org/draft/2020-12/schema'
  const schema: unknown = JSON.parse(
    JSON.stringify(configSchema, (key, value: unknown) =>
      unpublishedKeywords.has(key) ? undefined : value
    )
  )
  return `${JSON.stringify({ $schema: draft, ...Object(schema) }, null, 2)}\n`
}

/** The table of all settings, as Markdown. */
export function settingsTable(): string {
  const rows = settings.map((setting) => {
    const variable = `\`${setting.variables[0] ?? ''}\``
    const takes = setting.allowed.replaceAll('|', '\\|')
    const cells = [
      `\`${setting.path}\``,
      showDefault(setting),
      variable,
      setting.description,
      takes
    ]
    return `| ${cells.join(' | ')} |`
  })
  const head = [
    '| setting | default | variable | meaning | takes |',
    '| --- | --- | --- | --- | --- |'
  ]
  return [...head, ...rows].join('\n')
}

function showDefault(setting: Setting): string {
  const value = setting.default
  if (value === null || value === '' || (Array.isArray(value) && value.length === 0)) return 'none'
  if (setting.kind === 'bytes' && typeof value === 'number') return `\`${formatByteSize(value)}\``
  if (setting.kind === 'duration' && typeof value === 'number') {
    return value < 1000 ? `\`${value}\`` : `\`${value}\` (${showDuration(value)})`
  }
  return `\`${String(value)}\``
}

function showDuration(valueMs: number): string {
  const hours = valueMs / 3_600_000
  return Number.isInteger(hours) ? `${hours} h` : `${valueMs / 1000} s`
}

/** Puts `content` between the markers `<!-- NAME -->` and `<!-- end of NAME -->` of a page. */
export function replaceSection(page: string, section: string, content: string): string {
  const opening = `<!-- ${section} -->`
  const closing = `<!-- end of ${section} -->`
  const start = page.indexOf(opening)
  const end = page.indexOf(closing)
  if (start < 0 || end < start)
    throw new Error(`the page has no section between ${opening} and ${closing}`)
  return `${page.slice(0, start + opening.length)}\n\n${content}\n\n${page.slice(end)}`
}
