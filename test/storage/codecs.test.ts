import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, ByteWriter, equalBytes, toHex } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { makeObjectKey, metaRowKey, parseObjectKey } from '../../storage/keys.ts'
import { decodeIdentity, encodeIdentity } from '../../storage/minter.ts'
import {
  decodeForeignObject,
  decodeObject,
  encodeObject,
  isKeptApart
} from '../../storage/object-codec.ts'
import {
  decodeRow,
  decodeSealed,
  encodeRow,
  encodeSealed,
  type Row
} from '../../storage/row-codec.ts'
import { hashContent, hashObject, type Version, type Versions } from '../../storage/version.ts'
import { decodeVector, encodeVector, type VersionVector } from '../../storage/version-vector.ts'
import { lawRuns } from '../core/law-runs.ts'
import { actors, identities, objects, vectors } from './encodable.ts'
import { mutate, mutations } from './mutated-bytes.ts'

const rowKey = makeObjectKey(Buffer.alloc(8, 1), Buffer.from('b'), Buffer.from('k')).row

function vectorBytes(vector: VersionVector): Buffer {
  const writer = new ByteWriter()
  encodeVector(writer, vector)
  return writer.finish()
}

function vectorOf(bytes: Buffer): VersionVector {
  const reader = new ByteReader(bytes)
  const vector = decodeVector(reader)
  reader.finish()
  return vector
}

function rowOf(versions: Versions, mintActor: string | null): Row {
  const objectBytes = encodeObject(versions, 'row')
  return { versions, mintActor, objectHash: hashObject(versions), objectBytes }
}

/** Spoilt bytes are refused with a DecodeError, or they say something that is written in just these bytes. */
function assertCanonical<T>(
  bytes: Buffer,
  decode: (bytes: Buffer) => T,
  encodings: readonly ((value: T) => Uint8Array)[]
): void {
  let value: T
  try {
    value = decode(bytes)
  } catch (thrown) {
    assert.ok(thrown instanceof DecodeError, `${thrown}`)
    return
  }
  const again = encodings.map((encode) => toHex(encode(value)))
  assert.ok(again.includes(toHex(bytes)), `${toHex(bytes)}\nis read as\n${again.join('\nor ')}`)
}

describe('what is encoded comes back', () => {
  test('objects, whole', () => {
    fc.assert(
      fc.property(objects, (versions) => {
        const bytes = encodeObject(versions, 'whole')
        assert.deepEqual(plain(decodeForeignObject(bytes)), plain(versions))
        assert.deepEqual(encodeObject(decodeObject(bytes), 'whole'), bytes)
      }),
      lawRuns(300)
    )
  })

  test('objects, as rows have them, without the values that are kept apart', () => {
    fc.assert(
      fc.property(objects, (versions) => {
        const bytes = encodeObject(versions, 'row')
        const kept = versions.map((v) => (isKeptApart(v) ? { ...v, value: null } : v))
        assert.deepEqual(plain(decodeObject(bytes)), plain(kept))
        assert.deepEqual(encodeObject(decodeObject(bytes), 'row'), bytes)
      }),
      lawRuns(300)
    )
  })

  test('rows', () => {
    fc.assert(
      fc.property(objects, fc.option(actors), (versions, mintActor) => {
        const row = rowOf(versions, mintActor)
        const decoded = decodeRow(rowKey, encodeRow(rowKey, row))
        assert.equal(decoded.mintActor, mintActor)
        assert.ok(equalBytes(decoded.objectHash, row.objectHash))
        assert.ok(equalBytes(decoded.objectBytes, row.objectBytes))
      }),
      lawRuns(200)
    )
  })

  test('vectors, whatever order their entries came in', () => {
    fc.assert(
      fc.property(vectors, (vector) => {
        const backwards = new Map([...vector].reverse())
        assert.deepEqual(vectorBytes(vector), vectorBytes(backwards))
        assert.deepEqual(vectorOf(vectorBytes(vector)), vector)
      }),
      lawRuns(300)
    )
  })

  test('identities', () => {
    fc.assert(
      fc.property(identities, (identity) => {
        assert.deepEqual(decodeIdentity(encodeIdentity(identity)), identity)
      }),
      lawRuns(300)
    )
  })

  test('keys of objects, and they sort by token, then by bucket length', () => {
    const parts = fc.tuple(
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 })
    )
    fc.assert(
      fc.property(parts, parts, ([token, bucket, key], [otherToken]) => {
        const made = makeObjectKey(token, bucket, key)
        const parsed = parseObjectKey(Buffer.from(made.row))
        assert.deepEqual([...parsed.token], [...token])
        assert.deepEqual([...parsed.bucket], [...bucket])
        assert.deepEqual([...parsed.key], [...key])
        assert.equal(parsed.id, made.id)
        const order = Buffer.compare(token, otherToken)
        const other = makeObjectKey(otherToken, Buffer.alloc(0), Buffer.alloc(0))
        if (order !== 0) assert.equal(Buffer.compare(made.row, other.row), order)
      }),
      lawRuns(300)
    )
  })
})

describe('spoilt bytes', () => {
  test('of a row are always noticed', () => {
    fc.assert(
      fc.property(objects, fc.option(actors), mutations, (versions, mintActor, spoil) => {
        const bytes = encodeRow(rowKey, rowOf(versions, mintActor))
        const spoilt = mutate(bytes, spoil)
        if (equalBytes(spoilt, bytes)) return
        assert.throws(() => decodeRow(rowKey, spoilt), DecodeError)
      }),
      lawRuns(1500)
    )
  })

  test('of a sealed row are always noticed, and so is another key', () => {
    const key = metaRowKey('name')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), mutations, (content, spoil) => {
        const bytes = encodeSealed(key, content)
        assert.deepEqual([...decodeSealed(key, bytes)], [...content])
        assert.throws(() => decodeSealed(metaRowKey('nama'), bytes), DecodeError)
        const spoilt = mutate(bytes, spoil)
        if (!equalBytes(spoilt, bytes)) assert.throws(() => decodeSealed(key, spoilt), DecodeError)
      }),
      lawRuns(500)
    )
  })

  test('of an object are refused, or are the one encoding of what they say', () => {
    fc.assert(
      fc.property(objects, fc.constantFrom('whole', 'row'), mutations, (versions, form, spoil) => {
        const spoilt = mutate(encodeObject(versions, form), spoil)
        assertCanonical(spoilt, decodeObject, [
          (value) => encodeObject(value.map(withoutMissingValue), 'whole'),
          (value) => encodeObject(value, 'row')
        ])
      }),
      lawRuns(3000)
    )
  })

  test('of an object from elsewhere are refused unless they only change a past', () => {
    fc.assert(
      fc.property(objects, mutations, (versions, spoil) => {
        const bytes = encodeObject(versions, 'whole')
        const spoilt = mutate(bytes, spoil)
        const known = new Map(versions.map((v) => [toHex(v.contentHash), v]))
        let decoded: Versions = []
        try {
          decoded = decodeForeignObject(spoilt)
        } catch (thrown) {
          assert.ok(thrown instanceof DecodeError, `${thrown}`)
        }
        for (const version of decoded) {
          const original = known.get(toHex(version.contentHash))
          assert.ok(original !== undefined, 'a version that nobody wrote')
          assert.deepEqual(plain([{ ...version, past: original.past }]), plain([original]))
        }
      }),
      lawRuns(2000)
    )
  })

  test('of a vector are refused, or are the one encoding of what they say', () => {
    fc.assert(
      fc.property(vectors, mutations, (vector, spoil) => {
        assertCanonical(mutate(vectorBytes(vector), spoil), vectorOf, [vectorBytes])
      }),
      lawRuns(2000)
    )
  })

  test('of an identity are refused, or are the one encoding of what they say', () => {
    fc.assert(
      fc.property(identities, mutations, (identity, spoil) => {
        assertCanonical(mutate(encodeIdentity(identity), spoil), decodeIdentity, [encodeIdentity])
      }),
      lawRuns(2000)
    )
  })

  test('that are random are refused by every decoder with a DecodeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (random) => {
        const bytes = Buffer.concat([Buffer.of(1), random])
        const decoders = [decodeObject, decodeForeignObject, decodeIdentity, vectorOf]
        for (const decode of [...decoders, parseObjectKey]) {
          try {
            decode(bytes)
          } catch (thrown) {
            assert.ok(thrown instanceof DecodeError, `${thrown}`)
          }
        }
      }),
      lawRuns(2000)
    )
  })
})

test('a vector that is out of order, names an actor twice or goes down to zero is refused', () => {
  const [a, b] = ['incarnat000001', 'incarnat000002']
  const encode = (...entries: readonly (readonly [string, number])[]): Buffer => {
    const writer = new ByteWriter().varint(entries.length)
    for (const [actor, counter] of entries) writer.latin1(actor).varint(counter)
    return writer.finish()
  }
  assert.equal(vectorOf(encode([a, 1], [b, 2])).size, 2)
  for (const entries of [encode([b, 2], [a, 1]), encode([a, 1], [a, 2]), encode([a, 0])]) {
    assert.throws(() => vectorOf(entries), DecodeError, toHex(entries))
  }
})

test('an object whose versions are out of order or come twice is refused', () => {
  const versions = fc
    .sample(objects, { numRuns: 50, seed: 1 })
    .find((candidates) => candidates.length > 1)
  assert.ok(versions !== undefined)
  const [first] = versions
  assert.ok(first !== undefined)
  for (const forged of [[...versions].reverse(), [first, first]]) {
    assert.throws(() => decodeForeignObject(encodeObject(forged, 'whole')), DecodeError)
  }
})

test('a counter that no node can have minted is refused', () => {
  const actor = 'incarnat000001'
  const vector = vectorBytes(new Map([[actor, 2 ** 48]]))
  assert.throws(() => vectorOf(vector), DecodeError)

  const dot = { actor, counter: 2 ** 48 }
  const content = { tombstone: true, contentType: '', meta: [], timeMs: 1, expiresAtMs: 0 }
  const payload = { ...content, size: 0, value: null }
  const contentHash = hashContent(dot, payload)
  const forged: Version = { ...payload, dot, past: new Map(), contentHash }
  assert.throws(() => decodeForeignObject(encodeObject([forged], 'whole')), DecodeError)
})

test('the checksum of a row covers its key: a row under another key is refused', () => {
  const bytes = encodeRow(rowKey, rowOf([], null))
  const other = makeObjectKey(Buffer.alloc(8, 1), Buffer.from('b'), Buffer.from('l')).row
  assert.throws(() => decodeRow(other, bytes), DecodeError)
})

/** Versions with bytes that compare by what is in them. */
function plain(versions: Versions): unknown[] {
  return versions.map(({ value, contentHash, ...rest }) => ({
    ...rest,
    value: value === null ? null : toHex(value),
    contentHash: toHex(contentHash)
  }))
}

// Spoilt flags may say of any value that it is kept apart; such an object has no whole form.
function withoutMissingValue(version: Version): Version {
  return version.value === null && !version.tombstone
    ? { ...version, value: Buffer.alloc(0) }
    : version
}
