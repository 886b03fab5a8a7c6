/** @import { StateEvent } from '../event-schemas.ts' */

import uPlot from '/dashboard/uplot.js'
import { byId } from './elements.js'
import { count, millis } from './format.js'

const secondsShown = 300
const height = 180
const noColour = '#888888'

/** Seconds since 1970. @type {number[]} */
const times = []
/** Reads, writes, p50, p99; null where nothing is known. @type {(number | null)[][]} */
const series = [[], [], [], []]

/** @type {uPlot[]} */
let plots = []

/** @param {StateEvent} state */
export function showRequests({ requests, at }) {
  const { perSecond, p50Ms, p99Ms } = requests
  const sum = (/** @type {readonly string[]} */ names) =>
    names.reduce((total, name) => total + (perSecond[name] ?? 0), 0)
  const reads = sum(['get', 'head'])
  const writes = sum(['put', 'delete', 'post'])
  push(at / 1000, [reads, writes, p50Ms, p99Ms])
  byId('rate-now').textContent = `${count(reads)} reads, ${count(writes)} writes`
  byId('latency-now').textContent =
    p50Ms === null || p99Ms === null ? 'no requests' : `p50 ${millis(p50Ms)}, p99 ${millis(p99Ms)}`
  redraw()
}

/** What happened while nothing was heard is not drawn as if it were known. */
export function breakPlots() {
  const last = times.at(-1)
  if (last !== undefined) push(last + 0.5, [null, null, null, null])
}

/**
 * @param {number} seconds
 * @param {readonly (number | null)[]} values
 */
function push(seconds, values) {
  const last = times.at(-1)
  if (last !== undefined && seconds <= last) return
  times.push(seconds)
  values.forEach((value, i) => {
    series[i]?.push(value)
  })
  while ((times[0] ?? seconds) < seconds - secondsShown) {
    times.shift()
    for (const one of series) one.shift()
  }
}

function redraw() {
  if (plots.length === 0) create()
  const now = times.at(-1) ?? 0
  const scale = { min: now - secondsShown, max: now }
  const [reads, writes, p50, p99] = series
  const data = [
    [times, reads, writes],
    [times, p50, p99]
  ]
  plots.forEach((plot, i) => {
    plot.setData(/** @type {uPlot.AlignedData} */ (data[i]), false)
    plot.setScale('x', scale)
  })
}

function create() {
  for (const plot of plots) plot.destroy()
  const rate = makePlot(
    'rate-plot',
    [
      { label: 'reads per second', colour: '--plot-a', dash: [] },
      { label: 'writes per second', colour: '--plot-b', dash: [6, 4] }
    ],
    (value) => count(value)
  )
  const latency = makePlot(
    'latency-plot',
    [
      { label: 'p50', colour: '--plot-a', dash: [] },
      { label: 'p99', colour: '--plot-c', dash: [6, 4] }
    ],
    millis
  )
  plots = [rate, latency]
}

/**
 * @param {string} id
 * @param {readonly { label: string, colour: string, dash: number[] }[]} lines
 * @param {(value: number) => string} format
 */
function makePlot(id, lines, format) {
  const target = byId(id)
  const style = getComputedStyle(document.documentElement)
  const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim() || noColour
  const axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 }
  }
  /** @type {uPlot.Options} */
  const options = {
    width: Math.max(240, target.clientWidth),
    height,
    legend: { live: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(1, (max ?? 1) * 1.1)] } },
    axes: [
      { ...axis, values: (_plot, ticks) => ticks.map(timeOfDay) },
      { ...axis, size: 64, values: (_plot, ticks) => ticks.map((tick) => format(tick)) }
    ],
    series: [
      {},
      ...lines.map(({ label, colour: name, dash }) => ({
        label,
        stroke: colour(name),
        width: 2,
        dash,
        points: { show: false }
      }))
    ]
  }
  return new uPlot(options, [[], ...lines.map(() => [])], target)
}

/** @param {number} seconds */
function timeOfDay(seconds) {
  const options = /** @type {const} */ ({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
  return new Date(seconds * 1000).toLocaleTimeString('en', options)
}

new ResizeObserver(() => {
  for (const plot of plots) {
    const width = plot.root.parentElement?.clientWidth ?? 0
    if (width > 0 && Math.abs(width - plot.width) > 1) plot.setSize({ width, height })
  }
}).observe(byId('rate-plot'))

// The colours are drawn, and do not change by themselves with the scheme.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  if (plots.length === 0) return
  create()
  redraw()
})
