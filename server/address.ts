import { AnnealError } from '../core/errors.ts'

export interface Address {
  /** A name or a numeric address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

const pattern = /^(?:\[([^\s\p{Cc}[\]]+)\]|([^\s\p{Cc}:/[\]@?#]+)):(\d{1,5})$/u

/** Reads `host:port` and `[::1]:port`. Errors: AnnealError `bad_parameter`. */
export function parseAddress(text: string): Address {
  const match = pattern.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) {
    throw new AnnealError(
      'bad_parameter',
      `${JSON.stringify(text.slice(0, 128))} is no address: give host:port`
    )
  }
  return { host, port }
}
