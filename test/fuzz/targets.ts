import type { FuzzTarget } from './fuzz-target.ts'
import { acceptorHandshakeTarget, dialerHandshakeTarget } from './handshake-targets.ts'
import { peerAcceptorTarget, peerLinkTarget } from './link-targets.ts'
import { coldBodyTarget, documentTarget, framesTarget, handshakeTarget } from './proto-targets.ts'
import { reconcileQuestionTarget, reconcileReplyTarget } from './reconcile-targets.ts'
import {
  identityTarget,
  objectKeyTarget,
  objectTarget,
  rowContentTarget,
  rowTarget
} from './storage-targets.ts'
import {
  addressTarget,
  byteSizeTarget,
  cursorTarget,
  tokenContentTarget,
  tokenTarget
} from './text-targets.ts'
import { watermarkTarget } from './watermark-targets.ts'

/** Everything that reads bytes or text from outside, each made for a seed that its corpus is drawn from. */
export const targets: Readonly<Record<string, (seed: string) => FuzzTarget>> = {
  row: rowTarget,
  'row-content': rowContentTarget,
  object: objectTarget,
  identity: identityTarget,
  'object-key': objectKeyTarget,
  frames: framesTarget,
  'cold-body': coldBodyTarget,
  document: documentTarget,
  handshake: handshakeTarget,
  'acceptor-handshake': acceptorHandshakeTarget,
  'dialer-handshake': dialerHandshakeTarget,
  'peer-acceptor': peerAcceptorTarget,
  'peer-link': peerLinkTarget,
  'reconcile-question': reconcileQuestionTarget,
  'reconcile-reply': reconcileReplyTarget,
  watermark: watermarkTarget,
  token: tokenTarget,
  'token-content': tokenContentTarget,
  cursor: cursorTarget,
  address: addressTarget,
  'byte-size': byteSizeTarget
}

const made = new Map<string, FuzzTarget>()

/** A target is made once for a seed: its corpus costs more than thousands of inputs. Null: there is none so named. */
export function targetOf(name: string, seed: string): FuzzTarget | null {
  const id = `${name}/${seed}`
  const known = made.get(id)
  if (known !== undefined) return known
  const make = Object.hasOwn(targets, name) ? targets[name] : undefined
  if (make === undefined) return null
  const target = make(seed)
  made.set(id, target)
  return target
}
