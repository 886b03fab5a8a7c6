import type { Log } from '../core/ports.ts'
import type { Database } from './database.ts'
import { metaRowKey } from './keys.ts'
import { decodeIdentity, type Identity } from './minter.ts'
import { decodeSealed } from './row-codec.ts'

export interface MetaRowOptions {
  readonly database: Database
  readonly log: Log
}

export const identityKey = metaRowKey('identity')

/** What this node has written down of itself; null where there is nothing that can be read. */
export function readIdentity(options: MetaRowOptions): Identity | null {
  const content = readMetaRow(options, identityKey)
  if (content === null) return null
  try {
    return decodeIdentity(content)
  } catch (error) {
    options.log.error({ error }, 'the identity of this node is damaged')
    return null
  }
}

/** Null where there is no such row, and, logged, where it is damaged. */
export function readMetaRow(options: MetaRowOptions, key: Buffer): Buffer | null {
  try {
    const bytes = options.database.getSync(key)
    return bytes === undefined ? null : decodeSealed(key, bytes)
  } catch (error) {
    options.log.error(
      { row: key.subarray(1).toString(), error },
      'a row of the node itself is damaged'
    )
    return null
  }
}
