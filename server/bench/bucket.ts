import { setTimeout as sleep } from 'node:timers/promises'

export type Conflict = 'siblings' | 'lww'

const agreementTimeoutMs = 10_000
const agreementPollMs = 50

/**
 * Sets how the bucket settles conflicts and waits until every node says so, since a node that does not know it yet would
 * keep siblings. Errors: rejects with what the node answered, or after 10 seconds without agreement.
 */
export async function prepareBucket(
  urls: readonly string[],
  bucket: string,
  conflict: Conflict,
  signal: AbortSignal
): Promise<void> {
  const path = `/buckets/${encodeURIComponent(bucket)}`
  const response = await request(`${urls[0]}${path}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ conflict }),
    signal
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`PUT ${response.url} was answered ${response.status}: ${text}`)
  const deadline = performance.now() + agreementTimeoutMs
  for (const url of urls) {
    while ((await readConflict(`${url}${path}`, signal)) !== conflict) {
      if (performance.now() > deadline) {
        throw new Error(
          `${url} does not know after 10 seconds that bucket ${bucket} is ${conflict}; ` +
            'check with `anneal status` that the nodes reach each other'
        )
      }
      await sleep(agreementPollMs)
    }
  }
}

async function readConflict(url: string, signal: AbortSignal): Promise<unknown> {
  const response = await request(url, { signal })
  const text = await response.text()
  // A node that has not heard of the bucket yet may say that there is none.
  if (response.status === 404) return undefined
  if (!response.ok) throw new Error(`GET ${url} was answered ${response.status}: ${text}`)
  const properties: unknown = JSON.parse(text)
  return properties instanceof Object && 'conflict' in properties ? properties.conflict : undefined
}

async function request(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (error) {
    init.signal?.throwIfAborted()
    throw new Error(`${url} cannot be reached; is a node running there?`, { cause: error })
  }
}
