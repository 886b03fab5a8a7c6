/**
 * The name that was probably meant by one that is unknown, or null where nothing comes near: the least edits
 * (insert, delete, replace, swap of neighbours) in lower case, at most a third of the name's length. A name whose last
 * part is right wins over that, since most mistakes are a wrong or missing group.
 */
export function nearestName(unknown: string, known: readonly string[]): string | null {
  const wanted = unknown.toLowerCase()
  let best: string | null = null
  let bestDistance = Math.floor(wanted.length / 3) + 1
  for (const name of known) {
    const distance = editDistance(wanted, name.toLowerCase())
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  if (best !== null) return best
  const sameEnding = known.filter((name) => lastPart(name) === lastPart(wanted))
  return sameEnding.length === 1 ? (sameEnding[0] ?? null) : null
}

function lastPart(name: string): string {
  const lower = name.toLowerCase()
  return lower.slice(Math.max(lower.lastIndexOf('.'), lower.lastIndexOf('__') + 1) + 1)
}

/** Optimal string alignment distance, by rows; long input is compared by its beginning only. */
function editDistance(left: string, right: string): number {
  const a = left.slice(0, 128)
  const b = right.slice(0, 128)
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(replaced, at(last, j) + 1, at(row, j - 1) + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) least = Math.min(least, at(beforeLast, j - 2) + 1)
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
