import type { RequestWriter } from './request-writer.ts'
import type { ResponseReader } from './response-reader.ts'

/**
 * `put` writes blindly, `get` reads, `update` reads and then writes with the context it was given. `create` is an update
 * that also takes a key that is not there yet: it prepares the keys of the updates.
 */
export type OperationKind = 'put' | 'get' | 'update' | 'create'

/** What follows an answer: another request of the same operation, its end, or an error under the name it is counted by. */
export type OperationStep =
  | { readonly kind: 'done' }
  | { readonly kind: 'send'; readonly request: Buffer }
  | { readonly kind: 'error'; readonly name: string }

/** One operation at a time, of one connection: requests out, answers in, no I/O. */
export interface Operation {
  start(key: number): Buffer
  answer(response: ResponseReader): OperationStep
}

const done: OperationStep = { kind: 'done' }

export function createOperation(
  kind: OperationKind,
  requests: RequestWriter,
  valueBytes: number
): Operation {
  switch (kind) {
    case 'put':
      return { start: (key) => requests.put(key), answer: (response) => judge(response) }
    case 'get':
      return {
        start: (key) => requests.get(key),
        answer: (response) => judgeRead(response, valueBytes)
      }
    case 'update':
      return createUpdate(requests, valueBytes, false)
    case 'create':
      return createUpdate(requests, valueBytes, true)
  }
}

function createUpdate(
  requests: RequestWriter,
  valueBytes: number,
  absentAllowed: boolean
): Operation {
  let updatedKey = 0
  let reading = true
  return {
    start(key) {
      updatedKey = key
      reading = true
      return requests.get(key)
    },
    answer(response) {
      if (!reading) return judge(response)
      reading = false
      // The values that `create` finds may be of an earlier benchmark with values of another size.
      if (!absentAllowed) {
        const step = judgeRead(response, valueBytes)
        if (step.kind === 'error') return step
      } else if (response.status !== 404) {
        const step = judge(response)
        if (step.kind === 'error') return step
      }
      return { kind: 'send', request: requests.put(updatedKey, response.causalContext()) }
    }
  }
}

function judge(response: ResponseReader): OperationStep {
  return response.status < 400 ? done : { kind: 'error', name: String(response.status) }
}

/** A benchmark that does not look at the answers measures how fast a server can be wrong. */
function judgeRead(response: ResponseReader, valueBytes: number): OperationStep {
  if (response.status === 200 && response.bodyBytes !== valueBytes) {
    return { kind: 'error', name: 'wrong_length' }
  }
  return judge(response)
}
