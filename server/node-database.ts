import { fork } from 'node:child_process'
import { once } from 'node:events'
import { access, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AnnealError } from '../core/errors.ts'
import type { Log } from '../core/ports.ts'
import type { Database } from '../storage/database.ts'
import { holdsRows, type LevelOptions, openLevel } from '../storage/level.ts'
import type { SalvageWay } from '../storage/level-salvage.ts'
import { programBeside } from './program-beside.ts'

/** What the other process is told, and how it answers. */
export type DatabasePlan = SalvagePlan | TrialPlan
interface SalvagePlan {
  readonly directory: string
  readonly into: string
  readonly options: LevelOptions
  readonly way: SalvageWay
}
interface TrialPlan {
  readonly directory: string
  readonly options: LevelOptions
  readonly trialMs: number
}
export type SalvageAnswer = { readonly rows: number } | { readonly reason: string }

// LevelDB begins to merge tables as soon as it is open.
const trialMs = 2000

/**
 * The database of a node on its disk, and what becomes of it when files of it are damaged: all that can be read is copied
 * into a new one, which takes its place. From the decision to do so until it is done a mark lies beside it, so that
 * whoever opens it next goes on there.
 */
export class NodeDatabase {
  readonly directory: string
  readonly #mark: string
  /** The new one, once it is complete and until it takes its place. */
  readonly #salvaged: string
  /** The old one, from then on. */
  readonly #damaged: string
  readonly #options: LevelOptions
  readonly #log: Log

  constructor(data: string, options: LevelOptions, log: Log) {
    this.directory = join(data, 'db')
    this.#mark = join(data, 'salvaging')
    this.#salvaged = join(data, 'db.salvaged')
    this.#damaged = join(data, 'db.before-salvage')
    this.#options = options
    this.#log = log
  }

  /** Errors: as `openLevel`. */
  open(): Promise<Database> {
    return openLevel(this.directory, this.#options)
  }

  /**
   * The database, which is closed, is to be salvaged before it is opened again. Errors: rejects with the damage where
   * nothing is left to be salvaged; where the mark cannot be written.
   */
  async condemn(damage: AnnealError): Promise<void> {
    if (!(await holdsRows(this.directory))) throw damage
    this.#log.error(
      { directory: this.directory, reason: damage.message },
      'files of the database are damaged: what can be read of them is copied into a new one, and what is missing is taken from the other replicas'
    )
    const mark = await open(this.#mark, 'w')
    await mark.sync()
    await mark.close()
  }

  /**
   * Where opening the database has ended processes before: condemns it if that ends another one. Errors: as `condemn`;
   * rejects with the signal's reason once that is aborted.
   */
  async tryOut(signal: AbortSignal): Promise<void> {
    if (!(await holdsRows(this.directory))) return
    const plan = { directory: this.directory, options: this.#options, trialMs }
    const answer = await askElsewhere(plan, signal)
    if (answer !== null) return
    await this.condemn(
      new AnnealError('internal', 'LevelDB ends the process that opens the database')
    )
  }

  /**
   * Salvages a database that was condemned, by this process or an earlier one. Answers whether it is another one now. Where
   * there is none any more somebody has moved it away, and the node comes back empty.
   *
   * Errors: AnnealError where nothing can be read, with what to do; rejects with the signal's reason once that is aborted.
   */
  async settle(signal: AbortSignal): Promise<boolean> {
    if (!(await this.#isCondemned())) return false
    const beganMs = performance.now()
    const isThere = (await holdsRows(this.#salvaged)) || (await this.#copy(signal))
    if (isThere) {
      // The last process may have ended anywhere in between.
      if (await holdsRows(this.directory)) {
        await rm(this.#damaged, { recursive: true, force: true })
        await rename(this.directory, this.#damaged)
      }
      await rm(this.directory, { recursive: true, force: true })
      await rename(this.#salvaged, this.directory)
      const seconds = Math.round(performance.now() - beganMs) / 1000
      this.#log.warn(
        { directory: this.directory, damaged: this.#damaged, seconds },
        'the database was salvaged; the damaged one lies beside it, and can be deleted'
      )
    }
    await rm(this.#mark, { force: true })
    return isThere
  }

  async #isCondemned(): Promise<boolean> {
    try {
      await access(this.#mark)
      return true
    } catch {
      return false
    }
  }

  /** Answers false where there is nothing to be copied. */
  async #copy(signal: AbortSignal): Promise<boolean> {
    const { directory } = this
    if (!(await holdsRows(directory))) return false
    const into = `${this.#salvaged}.part`
    const reasons: string[] = []
    for (const way of ['levels', 'tables'] as const) {
      const plan = { directory, into, options: this.#options, way }
      const answer = await askElsewhere(plan, signal)
      if (answer !== null && 'rows' in answer) {
        await rename(into, this.#salvaged)
        return true
      }
      reasons.push(answer === null ? 'LevelDB ended the process' : answer.reason)
    }
    await rm(into, { recursive: true, force: true })
    await rm(this.#mark, { force: true })
    throw new AnnealError(
      'internal',
      `the damaged database in ${directory} could not be salvaged: ${reasons.join('; ')}. Move the directory away and start again: the node comes back empty and takes its data from the other replicas.`
    )
  }
}

/** Has another process do it. Answers null where LevelDB has ended that. */
async function askElsewhere(
  plan: DatabasePlan,
  signal: AbortSignal
): Promise<SalvageAnswer | null> {
  const program = programBeside(import.meta.url, 'salvage-process')
  const child = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const kill = () => child.kill('SIGKILL')
  const answers: SalvageAnswer[] = []
  // Only the child can send here, and it is the same program.
  child.on('message', (received) => answers.push(received as SalvageAnswer))
  signal.addEventListener('abort', kill)
  child.send(plan)
  await once(child, 'exit')
  signal.removeEventListener('abort', kill)
  signal.throwIfAborted()
  return answers[0] ?? null
}
