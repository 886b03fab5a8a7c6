/** @import { StateEvent } from '../event-schemas.ts' */

import { byId, element, mark, progressBar, show, showTable } from './elements.js'
import { count, duration, plural, size } from './format.js'

/** @typedef {StateEvent['repair']} Repair */

/** @param {StateEvent} state */
export function showRepair({ repair, at }) {
  const { background, totals, exchanges, runs, peers } = repair
  const tones = /** @type {const} */ ({ running: 'good', slowed: 'warn', paused: 'warn' })
  show(byId('repair-state'), mark(tones[background.state], background.state))
  const rate = `up to ${size(background.bytesPerSecond)} of ${size(background.bytesPerSecondMax)} a second`
  byId('repair-reason').textContent = [
    background.reason,
    `Compares everything every ${duration(background.intervalSeconds)}, with ${rate}.`
  ]
    .filter((part) => part !== null)
    .join(' · ')
  showTotals(totals)
  showExchanges(exchanges, at)
  showTable(
    byId('repair-peers'),
    ['Peer', 'Shared', 'Ahead of time', 'Waits because'],
    peers.map(({ peer, up, partitions, early, reason }) => [
      peer,
      plural(partitions, 'partition'),
      early === 0 ? 'none' : plural(early, 'partition'),
      reason ?? (up ? 'does not wait' : 'it is down')
    ])
  )
  show(
    byId('runs'),
    ...(runs.length === 0
      ? [element('p', { class: 'quiet' }, 'None since this node started.')]
      : runs.map(runItem))
  )
}

/** @param {Repair['totals']} totals */
function showTotals(totals) {
  const { differences, rows, dataBytes, indexBytes, roundTrips, exchanges } = totals
  const perDifference = differences === 0 || rows === 0 ? '–' : (rows / differences).toFixed(2)
  show(
    byId('repair-totals'),
    ...fact('Keys that differed', count(differences)),
    ...fact('Rows shipped', count(rows)),
    ...fact(
      'Rows per key that differed',
      perDifference,
      '1 is the least; 2 where both sides had something new'
    ),
    ...fact('Bytes of rows', size(dataBytes)),
    ...fact('Bytes to find them', size(indexBytes)),
    ...fact('Round trips', `${count(roundTrips)} in ${plural(exchanges, 'exchange')}`)
  )
}

/**
 * @param {string} term
 * @param {string} value
 * @param {string} [note]
 */
function fact(term, value, note) {
  return [
    element(
      'div',
      {},
      element('dt', {}, term),
      element('dd', {}, value),
      note === undefined ? null : element('dd', { class: 'quiet' }, note)
    )
  ]
}

/**
 * @param {Repair['exchanges']} exchanges
 * @param {number} at
 */
function showExchanges(exchanges, at) {
  if (exchanges.length === 0) {
    show(byId('exchanges'), element('p', { class: 'quiet' }, 'Nothing is being compared just now.'))
    return
  }
  const items = exchanges.map((exchange) => {
    const { peer, partitions, differences, rowsToShip, startedAt, keysCompared, run } = exchange
    const shipped = exchange.rowsSent + exchange.rowsReceived
    const wanted = shipped + rowsToShip
    const seconds = startedAt === null ? 0 : Math.max(0, (at - Date.parse(startedAt)) / 1000)
    const rate = seconds === 0 ? 0 : shipped / seconds
    const left = rate > 0 && rowsToShip > 0 ? `, about ${duration(rowsToShip / rate)} left` : ''
    return element(
      'div',
      { class: 'session' },
      element(
        'p',
        {},
        element('b', {}, `with ${peer}`),
        ` ${run === null ? 'in the background' : `for repair ${run}`}, ${plural(partitions, 'partition')}, for ${duration(seconds)}`
      ),
      progressBar(wanted === 0 ? 0 : shipped / wanted, `Rows shipped with ${peer}`),
      element(
        'p',
        { class: 'quiet' },
        `${plural(keysCompared, 'key')} compared, ${plural(differences, 'difference')}, ${count(shipped)} of ${plural(wanted, 'row')} shipped, ${size(exchange.dataBytes)} of rows and ${size(exchange.indexBytes)} to find them${left}`
      )
    )
  })
  show(byId('exchanges'), ...items)
}

/** @param {Repair['runs'][number]} run */
function runItem(run) {
  const { id, state, mode, dryRun, partitions, differences, reason, etaSeconds, skipped } = run
  const rows = run.rowsSent + run.rowsReceived
  const tones = /** @type {const} */ ({
    running: 'idle',
    done: 'good',
    failed: 'bad',
    cancelled: 'warn'
  })
  const what = dryRun ? 'only compares' : mode
  const left = etaSeconds === null ? '' : `, about ${duration(etaSeconds)} left`
  return element(
    'div',
    { class: 'session', 'data-run': id },
    element('p', {}, mark(tones[state], state), ` ${what} `, element('code', {}, id)),
    state === 'running'
      ? progressBar(partitions.total === 0 ? 0 : partitions.done / partitions.total, `Repair ${id}`)
      : null,
    element(
      'p',
      { class: 'quiet' },
      `${partitions.done} of ${partitions.total} comparisons, ${plural(differences, 'difference')}, ${plural(rows, 'row')} shipped, ${size(run.dataBytes)} of rows${left}${skipped.length === 0 ? '' : `; not reached: ${skipped.join(', ')}`}${reason === null ? '' : `; ${reason}`}`
    )
  )
}
