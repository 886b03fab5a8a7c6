/** @import { StateEvent } from '../event-schemas.ts' */

import { call } from './actions.js'
import { byId, element, mark, show, showTable } from './elements.js'
import { count, duration, plural, size } from './format.js'

const quarantineShown = 20

/** @param {StateEvent} state */
export function showHealth(state) {
  showHints(state.hints)
  showWatermarks(state.watermarks, state.repair.background.intervalSeconds)
  void showQuarantine(state.quarantine)
  showDamage(state.damage)
}

/** @param {StateEvent['hints']} hints */
function showHints(hints) {
  if (hints.length === 0) {
    show(byId('hints'), element('p', {}, mark('good', 'None'), ' wait here.'))
    return
  }
  const table = element('table')
  showTable(
    table,
    ['Target', 'Objects', 'Size', 'Oldest'],
    hints.map(({ target, count: number, bytes, oldestSeconds }) => [
      target,
      count(number),
      size(bytes),
      oldestSeconds === null ? '–' : duration(oldestSeconds)
    ])
  )
  show(byId('hints'), table)
}

/** Rounds of repair within which what is written is usually proven. */
const roundsUsual = 3

/**
 * @param {StateEvent['watermarks']} watermarks
 * @param {number} intervalSeconds
 */
function showWatermarks(
  { partitions, unproven, heldUp, pairs, membersUnheard, oldestSeconds, behind },
  intervalSeconds
) {
  const isUsual = unproven === 0 && (oldestSeconds ?? 0) <= roundsUsual * intervalSeconds
  const current = partitions - heldUp
  const summary =
    heldUp === 0
      ? element(
          'p',
          {},
          mark('good', 'All proven'),
          `: all that was written has reached every replica of ${plural(partitions, 'partition')}.`
        )
      : element(
          'p',
          {},
          mark(isUsual ? 'idle' : 'warn', `${count(heldUp)} held up`),
          `, ${count(current)} of ${plural(partitions, 'partition')} proven; for ${duration(oldestSeconds ?? 0)} at the most${isUsual ? ', which is usual while there are writes' : ''}.`
        )
  const reasons = pairs.map(({ nodes, unproven, notUpToDate }) => {
    const parts = [
      unproven === 0 ? '' : `nothing proven in ${count(unproven)}`,
      notUpToDate === 0 ? '' : `not all proven in ${count(notUpToDate)}`
    ].filter((part) => part !== '')
    return element('li', {}, element('b', {}, nodes.join(' – ')), `: ${parts.join(', ')}`)
  })
  const unheard = membersUnheard.map((id) =>
    element('li', {}, element('b', {}, id), ' has never reported')
  )
  if (behind > 0)
    unheard.push(
      element('li', {}, `${plural(behind, 'partition')} older than what peers have proven`)
    )
  show(byId('watermarks'), summary, element('ul', {}, ...reasons, ...unheard))
}

let quarantinedBefore = -1

/** @param {StateEvent['quarantine']} quarantine */
async function showQuarantine({ count: number, bytes }) {
  if (number === quarantinedBefore) return
  quarantinedBefore = number
  if (number === 0) {
    show(byId('quarantine'), element('p', {}, mark('good', 'Empty')))
    return
  }
  const heading = element(
    'p',
    {},
    mark('bad', plural(number, 'version')),
    `, ${size(bytes)}: they came up again after they were deleted everywhere. `,
    element('code', {}, 'anneal quarantine'),
    ' restores or drops them.'
  )
  /** @type {readonly { bucket: string, key: string, from: string, since: string, reason: string }[]} */
  const entries = await call('GET', `/admin/quarantine?limit=${quarantineShown}`).catch(() => [])
  const table = element('table')
  showTable(
    table,
    ['Key', 'From', 'Since', 'Reason'],
    entries.map(({ bucket, key, from, since, reason }) => [`${bucket}/${key}`, from, since, reason])
  )
  show(byId('quarantine'), heading, element('div', { class: 'scroll' }, table))
}

/** @param {StateEvent['damage']} damage */
function showDamage({ rows, unreadableSlices, leaves, scrubbedRows, scrubRounds }) {
  const found = [
    rows === 0 ? '' : plural(rows, 'damaged row'),
    unreadableSlices === 0 ? '' : plural(unreadableSlices, 'unreadable place'),
    leaves === 0 ? '' : `${plural(leaves, 'leaf', 'leaves')} that did not add up`
  ].filter((part) => part !== '')
  const scrubbed = `${plural(scrubbedRows, 'row')} read again and checked since the start, ${plural(scrubRounds, 'whole round')}.`
  show(
    byId('damage'),
    element(
      'p',
      {},
      found.length === 0 ? mark('good', 'None found') : mark('bad', found.join(', ')),
      `; ${scrubbed}`
    )
  )
}
