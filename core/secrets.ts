import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { createHasher, digestBytes, type Hasher } from './hash.ts'

/** Everything that is derived from the cluster secret; the secret itself is not kept. */
export interface ClusterKeys {
  /** Proves to a peer that this node knows the secret. */
  readonly handshake: Hasher
  /** Authenticates the causal contexts that clients carry. */
  readonly context: Hasher
  /** Keys the digests that replicas compare, so that collisions cannot be computed outside the cluster. */
  readonly digest: Hasher
  /** Keys the hash trees, so that nobody outside can write keys that cancel each other out in a sum. 16 bytes. */
  readonly tree: Hasher
}

const keyBytes = 32
const handshakeProofBytes = 32

/**
 * HKDF-SHA256 (RFC 5869) with the cluster's name as salt and the purpose as info: one secret, keys that say nothing
 * about each other. An empty secret gives keys that anybody can compute, which is only allowed on loopback.
 */
export async function deriveKeys(clusterName: string, secret: string): Promise<ClusterKeys> {
  const derive = (purpose: string): Uint8Array =>
    hkdf(sha256, Buffer.from(secret), Buffer.from(clusterName), Buffer.from(purpose), keyBytes)
  return {
    handshake: await createHasher(handshakeProofBytes, derive('anneal peer handshake')),
    context: await createHasher(digestBytes, derive('anneal causal context')),
    digest: await createHasher(digestBytes, derive('anneal object digest')),
    tree: await createHasher(digestBytes, derive('anneal hash tree'))
  }
}
