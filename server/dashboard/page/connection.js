/**
 * @import { RingEvent, PartitionsEvent, StateEvent } from '../event-schemas.ts'
 * @typedef {{ readonly state: StateEvent, readonly ring: RingEvent, readonly partitions: PartitionsEvent['partitions'] }} Snapshot
 */

import { byId } from './elements.js'

const silentMs = 5000
const retryMs = 1500

/**
 * Follows the events of the node, and says whether what is shown is live. A connection that is lost, or silent, is opened
 * anew for as long as it takes; the node then tells everything again.
 *
 * @param {{ onSnapshot: (snapshot: Snapshot) => void, onLost: () => void }} listener
 */
export function follow({ onSnapshot, onLost }) {
  /** @type {EventSource | null} */
  let source = null
  /** @type {RingEvent | null} */
  let ring = null
  /** @type {PartitionsEvent['partitions']} */
  let partitions = []
  let heardMs = performance.now()
  let isLost = false

  const open = () => {
    source?.close()
    heardMs = performance.now()
    const opened = new EventSource('/admin/events')
    source = opened
    opened.addEventListener('ring', ({ data }) => {
      ring = JSON.parse(data)
    })
    opened.addEventListener('partitions', ({ data }) => {
      partitions = JSON.parse(data).partitions
    })
    opened.addEventListener('state', ({ data }) => {
      heardMs = performance.now()
      isLost = false
      if (ring === null) return
      say('live', 'Live')
      onSnapshot({ state: JSON.parse(data), ring, partitions })
    })
    opened.addEventListener('error', lost)
  }

  const lost = () => {
    if (!isLost) onLost()
    isLost = true
    say('lost', 'Connection lost. What is shown is old; trying again…')
  }

  open()
  setInterval(() => {
    const silence = performance.now() - heardMs
    // A browser gives up for good on a refusal, and notices a dead network late.
    if (silence > silentMs || (source?.readyState === EventSource.CLOSED && silence > retryMs)) {
      lost()
      open()
    }
  }, retryMs)
}

/**
 * @param {'live' | 'lost'} state
 * @param {string} text
 */
function say(state, text) {
  const pill = byId('connection')
  if (pill.dataset['state'] === state) return
  pill.dataset['state'] = state
  byId('connection-text').textContent = text
  document.body.classList.toggle('stale', state !== 'live')
}
