import { isIPv6 } from 'node:net'
import { AnnealError } from '../core/errors.ts'

export interface Address {
  /** A host name or an IP address; an IPv6 address without its brackets. */
  readonly host: string
  readonly port: number
}

const pattern = /^(?:\[([^\]]+)\]|([^\s\p{Cc}:/[\]@?#]+)):(\d{1,5})$/u
const portMax = 65535

/** Reads `host:port` or `[ipv6]:port`. Errors: AnnealError `bad_parameter`, naming the address. */
export function parseAddress(address: string): Address {
  const match = pattern.exec(address)
  const inBrackets = match?.[1]
  const host = inBrackets ?? match?.[2]
  const port = Number(match?.[3])
  const isNoAddress = inBrackets !== undefined && !isIPv6(inBrackets)
  if (host === undefined || isNoAddress || port > portMax) {
    const given = address.slice(0, 128)
    const detail = `${JSON.stringify(given)} is not an address; write host:port, such as 127.0.0.1:8801`
    throw new AnnealError('bad_parameter', detail, { address: given })
  }
  return { host, port }
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
