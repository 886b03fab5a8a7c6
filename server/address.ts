import { AnnealError } from '../core/errors.ts'

export interface Address {
  /** A name or a numeric address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

/** Reads `host:port` and `[::1]:port`. Errors: AnnealError `bad_parameter`. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) {
    throw new AnnealError('bad_parameter', `"${text}" is no address: give host:port`)
  }
  return { host, port }
}
