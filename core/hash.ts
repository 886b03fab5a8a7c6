import { createBLAKE3, createXXHash3, type IHasher } from 'hash-wasm'

/** A hash that is prepared once and then used synchronously; `parts` are hashed as if they were concatenated. */
export type Hasher = (...parts: readonly Uint8Array[]) => Uint8Array

/**
 * Bytes of a digest that is compared between nodes or kept with a row: 128 bits, where no accident and, the key being
 * secret, no attacker finds two contents with one digest.
 */
export const digestBytes = 16

/** Prepares an unkeyed or keyed (32 bytes) BLAKE3 with a digest of `bytes` bytes. */
export async function createHasher(bytes: number, key?: Uint8Array): Promise<Hasher> {
  return hasherOf(
    await (key === undefined ? createBLAKE3(bytes * 8) : createBLAKE3(bytes * 8, key))
  )
}

function hasherOf(state: IHasher): Hasher {
  return (...parts) => {
    state.init()
    if (parts.length > 1 && lengthOf(parts) <= scratch.length) state.update(joined(parts))
    else for (const part of parts) state.update(part)
    return state.digest('binary')
  }
}

// Every update makes two views of its bytes, which take longer than hashing a short part does; so short parts are put
// together first. The scratch space is never seen by anyone else: it is filled and hashed within one call.
const scratch = new Uint8Array(1024)
/** The first bytes of the scratch space, by how many: making a view takes as long as hashing a short part does. */
const scratchViews: Uint8Array[] = Array.from({ length: scratch.length + 1 }, (_, length) =>
  scratch.subarray(0, length)
)

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) {
    scratch.set(part, length)
    length += part.length
  }
  return scratchViews[length] ?? scratch
}

function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0
  for (const part of parts) length += part.length
  return length
}

// WebAssembly is compiled asynchronously, once, while the module loads; from then on hashing is a plain call.
export const hash64 = await createHasher(8)
export const hash128 = await createHasher(digestBytes)

/**
 * 8 bytes of XXH3, which takes a quarter of the time of BLAKE3: against what happens to bytes by accident. Whoever means
 * to can make other bytes with the same checksum.
 */
export const checksum64: Hasher = hasherOf(await createXXHash3())
