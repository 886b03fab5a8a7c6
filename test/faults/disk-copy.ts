import { cpSync, rmSync } from 'node:fs'
import type { LaunchedProcess } from './launched-process.ts'

/** A copy of a node's data directory at one moment, to be put back later, as an operator does with a backup. */
export class DiskCopy {
  readonly #node: LaunchedProcess
  readonly #place: string

  private constructor(node: LaunchedProcess, place: string) {
    this.#node = node
    this.#place = place
  }

  /** The node must not run. Only the latest copy of a node is kept. */
  static take(node: LaunchedProcess): DiskCopy {
    const place = `${node.settings.data}.copy`
    rmSync(place, { recursive: true, force: true })
    cpSync(node.settings.data, place, { recursive: true })
    return new DiskCopy(node, place)
  }

  /** The node must not run. What it has stored since is gone. */
  putBack(): void {
    rmSync(this.#node.settings.data, { recursive: true, force: true })
    cpSync(this.#place, this.#node.settings.data, { recursive: true })
  }
}
