import type { LifeReport } from './life.ts'

const lineEveryMs = 5000
const drawEveryMs = 100
const barCells = 24
const msPerMinute = 60_000
const msPerHour = 3_600_000

/** How far a run of lives is: a bar where there is a terminal, else a line every few seconds. */
export class RunnerProgress {
  readonly #total: number
  readonly #stream: NodeJS.WriteStream
  readonly #startedMs = performance.now()
  #shownMs = 0
  #lives = 0
  #failed = 0
  #virtualMs = 0
  #cpuMs = 0

  constructor(total: number, stream: NodeJS.WriteStream) {
    this.#total = total
    this.#stream = stream
  }

  add(report: LifeReport, cpuMs: number): void {
    this.#lives++
    this.#virtualMs += report.virtualMs
    this.#cpuMs += cpuMs
    if (report.violations.length > 0) this.#failed++
    const everyMs = this.#stream.isTTY ? drawEveryMs : lineEveryMs
    if (performance.now() - this.#shownMs - this.#startedMs >= everyMs) this.#show()
  }

  /** Takes the bar off the screen, so that something can be said. */
  clear(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\u001b[K')
  }

  /** What it all came to, in one line. */
  summary(): string {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1)
    const cpu = this.#lives === 0 ? 0 : this.#cpuMs / this.#lives
    const failures = this.#failed === 0 ? 'no failure' : `${this.#failed} failed`
    return `${this.#lives} lives in ${seconds} s: ${failures}; ${this.#rates()}; ${cpu.toFixed(0)} ms of CPU a life`
  }

  #show(): void {
    this.#shownMs = performance.now() - this.#startedMs
    const left = ((this.#total - this.#lives) * this.#shownMs) / Math.max(1, this.#lives)
    const text = `${this.#lives} of ${this.#total} lives, ${this.#failed} failed, ${this.#rates()}, ${(left / 1000).toFixed(0)} s left`
    if (!this.#stream.isTTY) {
      this.#stream.write(`${text}\n`)
      return
    }
    const done = Math.floor((barCells * this.#lives) / this.#total)
    const bar = '█'.repeat(done) + '░'.repeat(barCells - done)
    this.#stream.write(`\r\u001b[K${bar} ${text}`)
  }

  #rates(): string {
    const minutes = (performance.now() - this.#startedMs) / msPerMinute
    const hours = this.#virtualMs / msPerHour
    return `${(this.#lives / minutes).toFixed(0)} lives and ${(hours / minutes).toFixed(1)} virtual hours a minute`
  }
}
