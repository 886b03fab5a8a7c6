import { stripVTControlCharacters } from 'node:util'

/**
 * Text that came from users or other nodes, made harmless for a terminal: control and other invisible characters are
 * escaped, so that no key can move the cursor or forge a line.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\u{${code.toString(16)}}`
  })
}

/** Columns as wide as their widest cell, two spaces apart; the cells may be coloured. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows]
  const widths = head.map((_, column) =>
    Math.max(...lines.map((line) => visibleLength(line[column] ?? '')))
  )
  return lines.map((line) => `${row(line, widths)}\n`).join('')
}

function row(cells: readonly string[], widths: readonly number[]): string {
  const padded = cells.map((cell, column) => {
    const missing = (widths[column] ?? 0) - visibleLength(cell)
    return cell + ' '.repeat(Math.max(missing, 0))
  })
  return padded.join('  ').trimEnd()
}

function visibleLength(cell: string): number {
  return [...stripVTControlCharacters(cell)].length
}

/** A duration for people: the two largest units. */
export function showDuration(seconds: number): string {
  const whole = Math.floor(seconds)
  if (whole < 60) return `${whole}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3600)}h`
}

/** A number of things, with the word for it. */
export function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}

const sizeUnits = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

/** A size for people: rounded to three digits or so. */
export function showSize(bytes: number): string {
  const exponent = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), sizeUnits.length - 1)
  const value = bytes / 1024 ** exponent
  const digits = exponent === 0 || value >= 100 ? 0 : 1
  return `${value.toFixed(digits)} ${sizeUnits[exponent] ?? ''}`
}
