import { byId } from './elements.js'

/**
 * What an operator is asked before something is done.
 * @typedef {{ title: string, text: string, go: string, withModes?: boolean, run: (mode: string) => Promise<string> }} Question
 */

const dialog = /** @type {HTMLDialogElement} */ (byId('confirm'))
const go = /** @type {HTMLButtonElement} */ (byId('confirm-go'))

/** @type {Question | null} */
let asked = null

/**
 * Opens the dialog. What it does is only done once it was confirmed, and an error stays in the dialog.
 * @param {Question} question
 */
export function confirm(question) {
  asked = question
  byId('confirm-title').textContent = question.title
  byId('confirm-text').textContent = question.text
  byId('confirm-error').textContent = ''
  byId('confirm-options').hidden = question.withModes !== true
  go.textContent = question.go
  go.disabled = false
  dialog.showModal()
}

byId('confirm-cancel').addEventListener('click', () => dialog.close())

dialog.addEventListener('submit', (event) => {
  event.preventDefault()
  if (asked !== null) void carryOut(asked)
})

/** @param {Question} question */
async function carryOut(question) {
  const chosen = /** @type {HTMLInputElement | null} */ (
    dialog.querySelector('input[name=mode]:checked')
  )
  go.disabled = true
  try {
    const done = await question.run(chosen?.value ?? 'incremental')
    dialog.close()
    say(done)
  } catch (thrown) {
    byId('confirm-error').textContent = thrown instanceof Error ? thrown.message : String(thrown)
    go.disabled = false
  }
}

/** @type {number | undefined} */
let toastTimer

/** @param {string} text */
function say(text) {
  const toast = byId('toast')
  toast.textContent = text
  clearTimeout(toastTimer)
  toastTimer = setTimeout(() => {
    toast.textContent = ''
  }, 6000)
}

/**
 * One call of the node. Errors: with what the node says is wrong.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function call(method, path, body) {
  const init =
    body === undefined
      ? { method }
      : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const answer = await fetch(path, init).catch(() => {
    throw new Error('The node cannot be reached: nothing was done, as far as this page can tell.')
  })
  const text = await answer.text()
  const parsed = text === '' ? null : JSON.parse(text)
  if (!answer.ok) throw new Error(parsed?.detail ?? `the node answered with ${answer.status}`)
  return parsed
}

/**
 * @import { StateEvent } from '../event-schemas.ts'
 * @param {() => StateEvent | null} current
 */
export function connectButtons(current) {
  byId('open-repair').addEventListener('click', () => {
    const id = current()?.node.id ?? 'this node'
    confirm({
      title: 'Repair now?',
      text: `${id} compares everything that it shares with members it can reach. It keeps to the limits of bandwidth and gives way to requests.`,
      go: 'Start',
      withModes: true,
      run: async (mode) => {
        const body = { mode: mode === 'full' ? 'full' : 'incremental', dryRun: mode === 'dry' }
        const { id: run } = await call('POST', '/admin/repair', body)
        return `Repair ${run} has begun.`
      }
    })
  })
  byId('open-pause').addEventListener('click', () => {
    const state = current()
    const id = state?.node.id ?? 'this node'
    const isPaused = state?.repair.isPaused === true
    confirm({
      title: isPaused ? 'Resume background repair?' : 'Pause background repair?',
      text: isPaused
        ? `${id} goes on comparing itself with the others in the background.`
        : `${id} begins no comparisons in the background until it is resumed, also after a restart. Replicas may drift apart meanwhile. Other nodes go on.`,
      go: isPaused ? 'Resume' : 'Pause',
      run: async () => {
        await call('POST', `/admin/repair/${isPaused ? 'resume' : 'pause'}`)
        return isPaused ? 'Background repair goes on.' : 'Background repair is paused.'
      }
    })
  })
}
