import { createBLAKE3 } from 'hash-wasm'

/** A BLAKE3 that is prepared once and then used synchronously; `parts` are hashed as if they were concatenated. */
export type Hasher = (...parts: readonly Uint8Array[]) => Uint8Array

/**
 * Bytes of a digest that is compared between nodes or kept with a row: 128 bits, where no accident and, the key being
 * secret, no attacker finds two contents with one digest.
 */
export const digestBytes = 16

/** Prepares an unkeyed or keyed (32 bytes) BLAKE3 with a digest of `bytes` bytes. */
export async function createHasher(bytes: number, key?: Uint8Array): Promise<Hasher> {
  const state = await (key === undefined ? createBLAKE3(bytes * 8) : createBLAKE3(bytes * 8, key))
  return (...parts) => {
    state.init()
    for (const part of parts) state.update(part)
    return state.digest('binary')
  }
}

// WebAssembly is compiled asynchronously, once, while the module loads; from then on hashing is a plain call.
export const hash64 = await createHasher(8)
export const hash128 = await createHasher(digestBytes)
