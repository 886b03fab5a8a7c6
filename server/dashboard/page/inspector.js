import { call, confirm } from './actions.js'
import { byId, element, mark, show, showTable } from './elements.js'
import { plural, size } from './format.js'

/**
 * @typedef {{ etag: string, dot: string, tombstone: boolean, lastModified: string, expires: string | null, bytes: number }} Version
 * @typedef {{ node: string, state: 'ok' | 'missing' | 'damaged' | 'unreachable', digest: string | null, versions: readonly Version[] }} Replica
 * @typedef {{ partition: number, leaf: number, replicas: readonly Replica[] }} Inspected
 */

const form = /** @type {HTMLFormElement} */ (byId('inspect'))
const bucketInput = /** @type {HTMLInputElement} */ (byId('inspect-bucket'))
const keyInput = /** @type {HTMLInputElement} */ (byId('inspect-key'))
const repairButton = /** @type {HTMLButtonElement} */ (byId('repair-key'))
const target = byId('inspected')

/** What was inspected last, which is what gets repaired. */
let shown = { bucket: '', key: '' }

form.addEventListener('submit', (event) => {
  event.preventDefault()
  shown = { bucket: bucketInput.value, key: keyInput.value }
  void inspect('GET', '')
})

repairButton.addEventListener('click', () => {
  confirm({
    title: 'Repair this key?',
    text: `All replicas of ${shown.bucket}/${shown.key} that can be reached are read, and each is given what it lacks. Siblings stay siblings.`,
    go: 'Repair',
    run: async () => {
      showInspected(await call('POST', `${pathOf(shown)}/repair`))
      return 'The key was repaired.'
    }
  })
})

/** @param {{ bucket: string, key: string }} name */
function pathOf({ bucket, key }) {
  return `/admin/keys/${encodeURIComponent(bucket)}/${encodeURIComponent(key)}`
}

/**
 * @param {string} method
 * @param {string} suffix
 */
async function inspect(method, suffix) {
  try {
    showInspected(await call(method, pathOf(shown) + suffix))
    repairButton.disabled = false
  } catch (thrown) {
    repairButton.disabled = true
    show(
      target,
      element('p', { class: 'error' }, thrown instanceof Error ? thrown.message : String(thrown))
    )
  }
}

/** @param {Inspected} inspected */
function showInspected({ partition, leaf, replicas }) {
  const etags = [...new Set(replicas.flatMap(({ versions }) => versions.map(({ etag }) => etag)))]
  const table = element('table')
  showTable(
    table,
    ['Version', ...replicas.map(({ node }) => node)],
    [
      ['State', ...replicas.map(stateMark)],
      ...etags
        .sort()
        .map((etag) => [
          element('code', { title: etag }, etag.replaceAll('"', '').slice(0, 10)),
          ...replicas.map((replica) => versionCell(replica, etag))
        ])
    ]
  )
  show(
    target,
    element(
      'p',
      {},
      element('b', {}, `${shown.bucket}/${shown.key}`),
      ` · partition ${partition}, leaf ${leaf}`
    ),
    verdict(replicas),
    element(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Replicas side by side' },
      table
    )
  )
}

/** @param {Replica} replica */
function stateMark({ state, versions }) {
  if (state === 'unreachable') return mark('idle', 'not reached')
  if (state !== 'ok') return mark('bad', state)
  const live = versions.filter(({ tombstone }) => !tombstone).length
  if (live > 1) return mark('warn', `${live} siblings`)
  return mark('good', live === 1 ? 'one value' : 'deleted')
}

/**
 * @param {Replica} replica
 * @param {string} etag
 */
function versionCell({ state, versions }, etag) {
  if (state === 'unreachable') return '?'
  const version = versions.find((one) => one.etag === etag)
  if (version === undefined) return mark('bad', 'lacks it')
  const { tombstone, bytes, lastModified, expires, dot } = version
  return element(
    'span',
    { title: dot },
    tombstone ? 'deleted' : size(bytes),
    element('small', {}, ` ${lastModified.replace('T', ' ').replace('Z', '')}`),
    expires === null ? null : element('small', {}, ` expires ${expires}`)
  )
}

/** @param {readonly Replica[]} replicas */
function verdict(replicas) {
  const reached = replicas.filter(({ state }) => state !== 'unreachable')
  const missed = replicas.length - reached.length
  const others = missed === 0 ? '' : ` ${plural(missed, 'replica')} could not be reached.`
  const contents = new Set(reached.map(({ state, digest }) => `${state} ${digest ?? ''}`))
  if (reached.every(({ state }) => state === 'missing')) {
    return element('p', {}, mark('idle', 'No replica holds the key.'), others)
  }
  if (contents.size > 1) return element('p', {}, mark('bad', 'The replicas differ.'), others)
  const all = missed === 0 ? 'The replicas are equal.' : 'Those that were reached are equal.'
  return element('p', {}, mark('good', all), others)
}
