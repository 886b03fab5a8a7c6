/** @import { StateEvent } from '../event-schemas.ts' */

import { byId, element, mark, showTable } from './elements.js'
import { duration } from './format.js'
import { nodeClass } from './palette.js'

/**
 * Each row is a member, with a column for everybody who may see it.
 * @param {StateEvent} state
 * @param {readonly string[]} ringNodes
 */
export function showMembers({ members, node }, ringNodes) {
  const head = [
    'Node',
    'State',
    ...members.map(({ id }) => `seen by ${id}`),
    'Zone',
    'Up for',
    'Hints',
    'Version'
  ]
  const rows = members.map((member) => {
    const { id, view, zone, region, up } = member
    const place = [region, zone].filter((part) => part !== '').join(' / ') || '–'
    return [
      name(member, ringNodes.indexOf(id), id === node.id),
      memberState(member),
      ...members.map((other) => opinion(id, other, node.id)),
      place,
      view === null || !up ? '–' : duration(view.uptimeSeconds),
      view === null ? '–' : String(view.hints),
      view === null ? '–' : view.release
    ]
  })
  showTable(byId('members'), head, rows)
  /** @type {Map<string, string[]>} */
  const held = new Map()
  for (const { id, view } of members) {
    const why = view?.repairHeld ?? ''
    if (why !== '') held.set(why, [...(held.get(why) ?? []), id])
  }
  byId('members-note').textContent = [...held]
    .map(([why, ids]) => `Begins no comparisons by itself: ${ids.join(', ')} (${why}).`)
    .join(' ')
}

/**
 * @param {StateEvent['members'][number]} member
 * @param {number} position
 * @param {boolean} isSelf
 */
function name({ id, http }, position, isSelf) {
  const swatch = element('span', {
    class: `swatch ${position < 0 ? 'elsewhere' : nodeClass(position)}`,
    'aria-hidden': 'true'
  })
  const text = isSelf
    ? element('span', {}, id, element('small', {}, ' this node'))
    : element('a', { href: `http://${http}/` }, id)
  return element('span', { class: 'node-name' }, swatch, text)
}

/** @param {StateEvent['members'][number]} member */
function memberState({ up, state, view }) {
  if (!up) return mark('bad', 'down')
  const word = view?.state ?? 'no answer'
  const text = state === 'normal' ? word : `${word}, ${state}`
  return mark(word === 'ready' && state === 'normal' ? 'good' : 'warn', text)
}

/**
 * What `other` says about `id`.
 * @param {string} id
 * @param {StateEvent['members'][number]} other
 * @param {string} self
 */
function opinion(id, other, self) {
  if (id === other.id) return element('span', { class: 'quiet' }, 'itself')
  if (other.view === null || (!other.up && other.id !== self)) return mark('idle', 'no answer')
  if (other.view.up.includes(id)) return mark('good', 'up')
  return other.view.down.includes(id) ? mark('bad', 'down') : mark('warn', 'unknown')
}
