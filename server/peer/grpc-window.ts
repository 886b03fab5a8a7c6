import type { Http2Session } from 'node:http2'
import { receiveWindowBytes } from './grpc-options.ts'

// Where grpc-js keeps the HTTP/2 session of an accepted stream.
const pathToSession = ['call', 'stream', 'session']

/**
 * Widens the receive window of an accepted stream and its connection. grpc-js has an option for the dialing side only;
 * with the 64 KiB that HTTP/2 starts with, a round trip of 100 ms limits what a peer can send to 640 KiB a second. The
 * session is private to grpc-js: should it move, the window stays what it was, and nothing else changes.
 */
export function widenReceiveWindow(stream: object): void {
  let found: unknown = stream
  for (const name of pathToSession) {
    found = typeof found === 'object' && found !== null ? Reflect.get(found, name) : undefined
  }
  if (!isHttp2Session(found) || found.destroyed) return
  found.settings({ initialWindowSize: receiveWindowBytes })
  found.setLocalWindowSize(receiveWindowBytes)
}

function isHttp2Session(value: unknown): value is Http2Session {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof Reflect.get(value, 'settings') === 'function' &&
    typeof Reflect.get(value, 'setLocalWindowSize') === 'function'
  )
}
