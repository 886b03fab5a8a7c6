/** @import { StateEvent } from '../event-schemas.ts' */

import { byId, element, mark, show } from './elements.js'
import { count, duration, millis, plural } from './format.js'

/**
 * The head of the page, what to look at, and the figures that say how things are.
 * @param {StateEvent} state
 */
export function showSummary(state) {
  const { node, cluster, members, alarms, repair } = state
  document.title = `${alarms.some(({ severity }) => severity === 'problem') ? '● ' : ''}${node.id} · Anneal`
  byId('node').textContent = node.id
  byId('subtitle').textContent =
    `of ${cluster.name} · Anneal ${node.version} · ${node.state} · up ${duration(node.uptimeSeconds)}`
  byId('open-pause').textContent = repair.isPaused ? 'Resume…' : 'Pause…'
  const items = alarms.map(({ severity, text }) =>
    element(
      'li',
      { class: severity },
      mark(severity === 'problem' ? 'bad' : 'warn', severity === 'problem' ? 'Problem' : 'Notice'),
      ` ${text}`
    )
  )
  show(
    byId('alarms'),
    ...(items.length > 0
      ? items
      : [element('li', { class: 'fine' }, mark('good', 'All is well'), ` as ${node.id} sees it`)])
  )
  const up = members.filter((member) => member.up).length
  const differing = repair.pairs['differs'] ?? 0
  const waiting = state.hints.reduce((sum, hint) => sum + hint.count, 0)
  const rate = Object.values(state.requests.perSecond).reduce((sum, value) => sum + value, 0)
  show(
    byId('tiles'),
    tile('Members up', `${up} of ${members.length}`, up === members.length ? 'good' : 'bad'),
    tile(
      'All proven equal',
      repair.oldestEqualSeconds === null ? 'not yet' : `${duration(repair.oldestEqualSeconds)} ago`,
      repair.oldestEqualSeconds === null ? 'warn' : 'good',
      repair.neverEqual > 0 ? `${plural(repair.neverEqual, 'pair')} never compared equal` : ''
    ),
    tile(
      'Replicas that differ',
      differing === 0 ? 'none known' : plural(differing, 'pair'),
      differing === 0 ? 'good' : 'warn'
    ),
    tile('Hints waiting', count(waiting), waiting === 0 ? 'good' : 'warn'),
    tile(
      'Requests per second',
      count(rate),
      'idle',
      state.requests.p99Ms === null ? '' : `p99 ${millis(state.requests.p99Ms)}`
    )
  )
}

/**
 * @param {string} label
 * @param {string} value
 * @param {'good' | 'bad' | 'warn' | 'idle'} tone
 * @param {string} [note]
 */
function tile(label, value, tone, note = '') {
  return element(
    'div',
    { class: `tile ${tone}` },
    element('p', { class: 'tile-label' }, label),
    element('p', { class: 'tile-value' }, value),
    note === '' ? null : element('p', { class: 'tile-note' }, note)
  )
}
