/** What pages are made of. Text only ever becomes text nodes, so that nothing a user has written is taken for markup. */

/** @typedef {Node | string | null} Child */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, string | boolean | number | undefined>>} attributes
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  setAttributes(made, attributes)
  for (const child of children) if (child !== null) made.append(child)
  return made
}

/**
 * @param {string} tag
 * @param {Readonly<Record<string, string | boolean | number | undefined>>} attributes
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function shape(tag, attributes = {}, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag)
  setAttributes(made, attributes)
  for (const child of children) if (child !== null) made.append(child)
  return made
}

/**
 * @param {Element} target
 * @param {Readonly<Record<string, string | boolean | number | undefined>>} attributes
 */
function setAttributes(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    target.setAttribute(name, value === true ? '' : String(value))
  }
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found
}

/** @type {WeakMap<Element, string>} */
const shownIn = new WeakMap()

/**
 * Puts new children in place, unless they say what is there already: whoever reads, selects or listens is not disturbed.
 * @param {Element} target
 * @param {...Child} children
 */
export function show(target, ...children) {
  const wrapper = document.createElement('div')
  for (const child of children) if (child !== null) wrapper.append(child)
  const html = wrapper.innerHTML
  if (shownIn.get(target) === html) return
  shownIn.set(target, html)
  target.replaceChildren(...wrapper.childNodes)
}

/**
 * A table with headings, its first column naming the rows.
 * @param {HTMLElement} target
 * @param {readonly string[]} head
 * @param {readonly (readonly Child[])[]} rows
 */
export function showTable(target, head, rows) {
  const heading = element(
    'thead',
    {},
    element('tr', {}, ...head.map((text) => element('th', { scope: 'col' }, text)))
  )
  const body = rows.map((cells) =>
    element(
      'tr',
      {},
      ...cells.map((cell, i) =>
        i === 0 ? element('th', { scope: 'row' }, cell) : element('td', {}, cell)
      )
    )
  )
  show(target, heading, element('tbody', {}, ...body))
}

/**
 * A word with a mark before it, so that colour is never all there is.
 * @param {'good' | 'bad' | 'warn' | 'idle'} tone
 * @param {string} text
 */
export function mark(tone, text) {
  const glyphs = { good: '✓', bad: '✕', warn: '!', idle: '·' }
  return element(
    'span',
    { class: `mark ${tone}` },
    element('span', { 'aria-hidden': 'true' }, glyphs[tone]),
    ` ${text}`
  )
}

/**
 * @param {number} fraction
 * @param {string} label
 */
export function progressBar(fraction, label) {
  const bar = element('progress', { max: 1, value: Math.min(1, Math.max(0, fraction)).toFixed(3) })
  bar.setAttribute('aria-label', label)
  return bar
}
