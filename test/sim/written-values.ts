import type { KeyView } from '../../server/data-service.ts'
import type { WriteId } from './key-history.ts'

/** Where all keys of a life are. */
export const bucket = 'life'
const largeBytes = 6000

/** The value of a write says which one it is, and has a size that goes with it. */
export function payloadOf(id: WriteId, large: boolean): Buffer {
  return Buffer.from(`${id}:${'x'.repeat(large ? largeBytes : id % 40)}`)
}

/** The writes whose values a client is shown; a value that is none of ours counts as write -1. */
export function idsOf(view: KeyView): WriteId[] {
  return view.siblings.map(({ value }) => idOf(value ?? new Uint8Array(0)))
}

export function idOf(value: Uint8Array): WriteId {
  const match = /^(\d+):(x*)$/.exec(Buffer.from(value).toString())
  if (match === null) return -1
  const id = Number(match[1])
  return match[2]?.length === largeBytes || match[2]?.length === id % 40 ? id : -1
}
