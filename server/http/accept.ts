/**
 * Whether an answer goes out as `offered` instead of as `usual`, by the Accept of its request (RFC 9110): where the type,
 * or all of its kind, is asked for by name and liked no less. Whoever takes anything gets what is usual.
 */
export function prefers(accept: string | undefined, offered: string, usual: string): boolean {
  if (accept === undefined) return false
  const ranges = accept.split(',').map(rangeOf)
  const named = rangeFor(offered, ranges)
  if (named === undefined || named.type === '*/*' || named.quality === 0) return false
  return named.quality >= (rangeFor(usual, ranges)?.quality ?? 0)
}

interface MediaRange {
  readonly type: string
  readonly quality: number
}

function rangeOf(written: string): MediaRange {
  const [type = '', ...parameters] = written.split(';').map((part) => part.trim().toLowerCase())
  const weight = parameters.find((parameter) => parameter.startsWith('q='))
  const quality = weight === undefined ? 1 : Number(weight.slice(2))
  return { type, quality: Number.isNaN(quality) ? 1 : quality }
}

/** The range that is most particular about the type; undefined where none takes it. */
function rangeFor(type: string, ranges: readonly MediaRange[]): MediaRange | undefined {
  const kind = `${type.split('/')[0]}/*`
  for (const wanted of [type, kind, '*/*']) {
    const found = ranges.find((range) => range.type === wanted)
    if (found !== undefined) return found
  }
  return undefined
}
