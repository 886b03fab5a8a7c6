/** Colours of nodes and of ages. The eight colours keep apart for those who see colours differently; see style.css. */

const colours = 8

/**
 * The name of a colour of style.css, the same for a node as long as the members are the same.
 * @param {number} position
 */
export function nodeClass(position) {
  return `node-${position % colours}`
}

/** Upper bounds of the age of a proof, in seconds, with what to call what is within. */
export const ages = [
  { limit: 120, label: 'proven equal within 2 minutes', name: 'age-0' },
  { limit: 900, label: 'within 15 minutes', name: 'age-1' },
  { limit: 7200, label: 'within 2 hours', name: 'age-2' },
  { limit: Number.POSITIVE_INFINITY, label: 'longer ago', name: 'age-3' }
]

/** @param {number} seconds */
export function ageClass(seconds) {
  return ages.find(({ limit }) => seconds < limit)?.name ?? 'age-3'
}
