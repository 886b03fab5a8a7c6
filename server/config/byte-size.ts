/** Sizes as people write them: "16 MiB". Binary units only, so that no two readers get different numbers. */
export const byteSizePattern = '^[0-9]+(\\.[0-9]+)? ?(B|KiB|MiB|GiB|TiB)$'

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** The bytes that a text such as "16 MiB" stands for, or null where it is no such text or no whole number of bytes. */
export function parseByteSize(written: string): number | null {
  const match = new RegExp(byteSizePattern).exec(written)
  if (match === null) return null
  const exponent = byteUnits.findIndex((unit) => written.endsWith(unit) && unit !== 'B')
  const bytes = Number.parseFloat(written) * 1024 ** Math.max(exponent, 0)
  return Number.isSafeInteger(bytes) ? bytes : null
}

/** The shortest exact text for a number of bytes. */
export function formatByteSize(bytes: number): string {
  let value = bytes
  let exponent = 0
  while (value !== 0 && value % 1024 === 0 && exponent < byteUnits.length - 1) {
    value /= 1024
    exponent++
  }
  return `${value} ${byteUnits[exponent] ?? 'B'}`
}
