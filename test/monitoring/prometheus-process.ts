import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../cluster/cluster-process.ts'

const pollMs = 200

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}

/** A real Prometheus with a data directory of its own, that scrapes once a second. */
export class PrometheusProcess {
  readonly #child: ChildProcess
  readonly #directory: string
  readonly #url: string

  private constructor(child: ChildProcess, directory: string, url: string) {
    this.#child = child
    this.#directory = directory
    this.#url = url
  }

  /** `targets`: host:port. Resolves once it answers; `stop` must be called. */
  static async start(targets: readonly string[], rules: string): Promise<PrometheusProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'anneal-prometheus-'))
    const [port] = await freePorts(1)
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [join(directory, 'rules.yml')],
      scrape_configs: [{ job_name: 'anneal', static_configs: [{ targets }] }]
    }
    await writeFile(join(directory, 'rules.yml'), rules)
    // JSON is YAML.
    await writeFile(join(directory, 'prometheus.yml'), JSON.stringify(config))
    const address = `127.0.0.1:${port}`
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(directory, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=${address}`,
        '--log.level=error'
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] }
    )
    const process = new PrometheusProcess(child, directory, `http://${address}`)
    try {
      await process.until('answers', async () => (await fetch(`http://${address}/-/ready`)).ok)
    } catch (thrown) {
      await process.stop()
      throw thrown
    }
    return process
  }

  async query(expression: string): Promise<readonly Sample[]> {
    const url = `${this.#url}/api/v1/query?query=${encodeURIComponent(expression)}`
    const answer = (await (await fetch(url)).json()) as {
      status: string
      error?: string
      data?: { result: readonly Sample[] }
    }
    if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error}`)
    return answer.data?.result ?? []
  }

  async firing(): Promise<readonly Alert[]> {
    const answer = (await (await fetch(`${this.#url}/api/v1/alerts`)).json()) as {
      data: { alerts: readonly Alert[] }
    }
    return answer.data.alerts.filter(({ state }) => state === 'firing')
  }

  /** Prometheus tells nobody of what it finds, so it is asked again and again. */
  async until(what: string, isSo: () => Promise<boolean>, seconds = 60): Promise<void> {
    const deadline = Date.now() + seconds * 1000
    let last: unknown = null
    while (Date.now() < deadline) {
      try {
        if (await isSo()) return
      } catch (thrown) {
        last = thrown
      }
      if (this.#child.exitCode !== null)
        throw new Error(`Prometheus ended with ${this.#child.exitCode}`)
      await sleep(pollMs)
    }
    throw new Error(`not within ${seconds} s: ${what}`, { cause: last })
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve))
    if (this.#child.exitCode === null && this.#child.kill('SIGKILL')) await ended
    await rm(this.#directory, { recursive: true, force: true })
  }
}
