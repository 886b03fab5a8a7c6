import assert from 'node:assert/strict'
import type { RepairOptions, RepairRunStatus } from '../../client/repair-types.ts'
import type { ServerProcess } from './server-process.ts'

export interface Tree {
  readonly partition: number
  readonly keys: number
  readonly root: string
  readonly verified?: boolean
}

/** How long a repair of few rows may take. */
const repairSeconds = 10

export async function read<T>(node: ServerProcess, path: string, method = 'GET'): Promise<T> {
  const answer = await fetch(`${node.url}${path}`, { method })
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`)
  return (await answer.json()) as T
}

export const treesOf = (node: ServerProcess, verify = false) =>
  read<Tree[]>(node, `/admin/trees${verify ? '?verify=true' : ''}`)

/** Resolves with the id of the run. */
export async function startRepair(node: ServerProcess, body?: RepairOptions): Promise<string> {
  const answer = await fetch(`${node.url}/admin/repair`, {
    method: 'POST',
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
  })
  assert.equal(answer.status, 202)
  return ((await answer.json()) as { id: string }).id
}

export const runOf = (node: ServerProcess, id: string) =>
  read<RepairRunStatus>(node, `/admin/repair/${id}`)

/** Resolves with how the run stands once it is over, whatever became of it. */
export async function ended(
  node: ServerProcess,
  id: string,
  seconds = 60
): Promise<RepairRunStatus> {
  await node.until('has repaired', async () => (await runOf(node, id)).state !== 'running', seconds)
  return runOf(node, id)
}

export async function repairFrom(
  node: ServerProcess,
  body?: RepairOptions
): Promise<RepairRunStatus> {
  return ended(node, await startRepair(node, body), repairSeconds)
}
