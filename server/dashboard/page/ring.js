/** @import { Snapshot } from './connection.js' */

import { byId, element, shape, show } from './elements.js'
import { duration } from './format.js'
import { ageClass, ages, nodeClass } from './palette.js'

/** More arcs than this are too thin to tell apart: neighbours then share one. */
const arcsMax = 512
const inner = 78
const outer = 112
/** What differs, runs or waits stands out of the ring, so that it can be told without colours. */
const reach = { equal: 0, waiting: 0, never: -14, running: 12, differs: 12 }
/** From what is best to what is worst, for partitions that share an arc. */
const worst = ['equal', 'waiting', 'never', 'differs', 'running']
const words = {
  equal: 'equal everywhere when last compared',
  waiting: 'to be compared again',
  never: 'not compared yet',
  running: 'being compared now',
  differs: 'known to differ'
}

/** @type {'owner' | 'age'} */
let colouring = 'owner'
/** @type {Snapshot | null} */
let latest = null
let selected = -1

const svg = byId('ring')

/** @param {Snapshot} snapshot */
export function showRing(snapshot) {
  latest = snapshot
  draw()
}

for (const button of document.querySelectorAll('[data-ring]')) {
  button.addEventListener('click', () => {
    colouring = button.getAttribute('data-ring') === 'age' ? 'age' : 'owner'
    for (const other of document.querySelectorAll('[data-ring]')) {
      other.setAttribute('aria-pressed', String(other === button))
    }
    draw()
  })
}

svg.addEventListener('pointerover', (event) => {
  const arc = event.target instanceof Element ? event.target.getAttribute('data-partition') : null
  if (arc !== null) select(Number(arc))
})

svg.addEventListener('keydown', (event) => {
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }
  const partitions = latest?.ring.replicas.length ?? 0
  const step = steps[/** @type {keyof typeof steps} */ (event.key)]
  if (step === undefined || partitions === 0) return
  event.preventDefault()
  select((Math.max(selected, step > 0 ? -1 : 0) + step + partitions) % partitions)
})

/** @param {number} partition */
function select(partition) {
  selected = partition
  draw()
  describe()
}

function draw() {
  if (latest === null) return
  const { ring, partitions, state } = latest
  const total = ring.replicas.length
  const groups = Math.ceil(total / Math.ceil(total / arcsMax))
  const size = Math.ceil(total / groups)
  const standings = new Map(partitions.map((standing) => [standing.id, standing]))
  const nowSeconds = state.at / 1000
  const arcs = []
  for (let first = 0; first < total; first += size) {
    const members = partitionsOf(first, Math.min(total, first + size), standings)
    const owner = ring.replicas[first]?.[0] ?? 0
    const standing = members.reduce(
      (found, one) =>
        found === undefined || worst.indexOf(one.state) > worst.indexOf(found.state) ? one : found,
      /** @type {typeof partitions[number] | undefined} */ (undefined)
    )
    const name = colouring === 'owner' ? nodeClass(owner) : ageName(standing, nowSeconds)
    const edge = colouring === 'age' && standing !== undefined ? reach[standing.state] : 0
    const isSelected = selected >= first && selected < first + size
    arcs.push(
      shape('path', {
        d: arc(first / total, Math.min(total, first + size) / total, outer + edge),
        class: isSelected ? `arc ${name} selected` : `arc ${name}`,
        'data-partition': first
      })
    )
  }
  show(
    svg,
    ...arcs,
    shape('text', { class: 'ring-number', y: -2, 'text-anchor': 'middle' }, String(total)),
    shape('text', { class: 'ring-word', y: 16, 'text-anchor': 'middle' }, 'partitions')
  )
  show(byId('ring-legend'), ...(colouring === 'owner' ? ownerLegend() : ageLegend()))
}

/**
 * @param {number} first
 * @param {number} end
 * @param {ReadonlyMap<number, Snapshot['partitions'][number]>} standings
 */
function partitionsOf(first, end, standings) {
  const found = []
  for (let id = first; id < end; id++) {
    const standing = standings.get(id)
    if (standing !== undefined) found.push(standing)
  }
  return found
}

/**
 * @param {Snapshot['partitions'][number] | undefined} standing
 * @param {number} nowSeconds
 */
function ageName(standing, nowSeconds) {
  if (standing === undefined) return 'elsewhere'
  if (standing.state === 'differs' || standing.state === 'running') return standing.state
  return standing.equalAt === null ? 'never' : ageClass(nowSeconds - standing.equalAt)
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} radius
 */
function arc(from, to, radius) {
  const gap = (to - from) * 0.06
  const point = (/** @type {number} */ turn, /** @type {number} */ r) => {
    const angle = turn * 2 * Math.PI - Math.PI / 2
    return `${(Math.cos(angle) * r).toFixed(2)} ${(Math.sin(angle) * r).toFixed(2)}`
  }
  const [a, b] = [from + gap, to - gap]
  const large = b - a > 0.5 ? 1 : 0
  return `M${point(a, inner)}L${point(a, radius)}A${radius} ${radius} 0 ${large} 1 ${point(b, radius)}L${point(b, inner)}A${inner} ${inner} 0 ${large} 0 ${point(a, inner)}Z`
}

function ownerLegend() {
  const { ring } = latest ?? { ring: { nodes: [], replicas: [] } }
  return ring.nodes.map((id, position) => {
    const owned = ring.replicas.filter(([owner]) => owner === position).length
    const held = ring.replicas.filter((replicas) => replicas.includes(position)).length
    return legendItem(nodeClass(position), id, `owns ${owned}, holds ${held}`)
  })
}

function ageLegend() {
  if (latest === null) return []
  const counts = new Map()
  const add = (/** @type {string} */ name) => counts.set(name, (counts.get(name) ?? 0) + 1)
  for (const standing of latest.partitions) add(ageName(standing, latest.state.at / 1000))
  const elsewhere = latest.ring.replicas.length - latest.partitions.length
  const entries = [
    ...ages.map(({ name, label }) => ({ name, label })),
    { name: 'running', label: 'being compared now (stands out)' },
    { name: 'differs', label: 'known to differ (stands out)' },
    { name: 'never', label: 'not proven equal yet (thin)' }
  ].map(({ name, label }) => ({ name, label, number: counts.get(name) ?? 0 }))
  const shown =
    elsewhere > 0
      ? [...entries, { name: 'elsewhere', label: 'not held by this node', number: elsewhere }]
      : entries
  return shown.map(({ name, label, number }) => legendItem(name, label, String(number)))
}

/**
 * @param {string} name
 * @param {string} label
 * @param {string} figure
 */
function legendItem(name, label, figure) {
  return element(
    'li',
    {},
    element('span', { class: `swatch ${name}`, 'aria-hidden': 'true' }),
    element('span', { class: 'legend-label' }, label),
    element('span', { class: 'legend-figure' }, figure)
  )
}

function describe() {
  if (latest === null || selected < 0) return
  const { ring, partitions, state } = latest
  const [owner, ...others] = (ring.replicas[selected] ?? []).map((at) => ring.nodes[at] ?? '?')
  const standing = partitions.find(({ id }) => id === selected)
  const parts = [`Partition ${selected}: owner ${owner}`]
  if (others.length > 0) parts.push(`further replicas ${others.join(', ')}`)
  if (standing === undefined)
    parts.push(`${state.node.id} holds no copy that it shares with others`)
  else {
    parts.push(words[standing.state])
    parts.push(
      standing.equalAt === null
        ? 'never proven equal with all of them'
        : `proven equal ${duration(Math.max(0, state.at / 1000 - standing.equalAt))} ago`
    )
  }
  byId('ring-detail').textContent = `${parts.join('; ')}.`
}
