import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex } from '../../core/bytes.ts'
import { hash128 } from '../../core/hash.ts'
import { deriveKeys } from '../../core/secrets.ts'

const message = Buffer.from('the same message')

/** What each key makes of the same message. */
async function digestsOf(clusterName: string, secret: string): Promise<string[]> {
  const { handshake, context, digest, tree } = await deriveKeys(clusterName, secret)
  return [handshake, context, digest, tree].map((hasher) => toHex(hasher(message).subarray(0, 16)))
}

test('keys differ by purpose, by the name of the cluster and by its secret', async () => {
  const digests = [
    ...(await digestsOf('anneal', 'secret')),
    ...(await digestsOf('anneal', 'secres')),
    ...(await digestsOf('anneal2', 'secret')),
    ...(await digestsOf('annealsecret', ''))
  ]
  assert.equal(new Set(digests).size, digests.length)
})

test('the same secret gives the same keys', async () => {
  assert.deepEqual(await digestsOf('anneal', 'secret'), await digestsOf('anneal', 'secret'))
})

test('without a secret the digests are still keyed, by the name of the cluster', async () => {
  const digests = await digestsOf('anneal', '')
  assert.ok(!digests.includes(toHex(hash128(message))))
  assert.notDeepEqual(digests, await digestsOf('else', ''))
})
