import { equalBytes } from '../../core/bytes.ts'
import { makeObjectKey, metaRowKey, parseObjectKey, valueRowKey } from '../../storage/keys.ts'
import { MintedRows } from '../../storage/minted-rows.ts'
import { decodeIdentity, encodeIdentity, Minter } from '../../storage/minter.ts'
import { decodeForeignObject, decodeObject, encodeObject } from '../../storage/object-codec.ts'
import { decodeRow, decodeSealed, encodeRow, encodeSealed } from '../../storage/row-codec.ts'
import {
  contextOf,
  hashContent,
  hashObject,
  latestTimeOf,
  merge,
  type Versions
} from '../../storage/version.ts'
import { descends, emptyVector, formatDot } from '../../storage/version-vector.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { mutateBytes } from './byte-mutations.ts'
import { attempt, type FuzzTarget, isAmong, mustHold, type Verdict } from './fuzz-target.ts'
import { mutateObject } from './object-mutations.ts'
import { mostlySmall, sampleObjects } from './samples.ts'

const objectKey = makeObjectKey(Buffer.alloc(8, 1), Buffer.from('b'), Buffer.from('k'))
const otherKey = makeObjectKey(Buffer.alloc(8, 1), Buffer.from('b'), Buffer.from('l'))
const checksumBytes = 8

function rowsOf(seed: string): readonly Buffer[] {
  const random = new SeededRandom(seed)
  const rows = sampleObjects(seed, 60).map((versions) => {
    const mintActor = random.chance(0.5) ? Buffer.from(random.bytes(14)).toString('latin1') : null
    const objectBytes = encodeObject(versions, 'row')
    const row = { versions, mintActor, objectHash: hashObject(versions), objectBytes }
    return encodeRow(objectKey.row, row)
  })
  return mostlySmall(rows)
}

/** Rows as they lie in the database: nothing but what was written is ever read. */
export function rowTarget(seed: string): FuzzTarget {
  const corpus = rowsOf(seed)
  const isWritten = isAmong(corpus)
  const run = (input: Buffer): Verdict => {
    const row = attempt(() => decodeRow(objectKey.row, input), 'decode error')
    mustHold(row.ok === isWritten(input), 'a row is read where it was written so, and only there')
    const moved = attempt(() => decodeRow(otherKey.row, input), 'decode error')
    mustHold(!moved.ok, 'a row is not read under another key')
    if (!row.ok) return 'refused'
    mustHold(equalBytes(encodeRow(objectKey.row, row.value), input), 'a row has one encoding')
    return 'accepted'
  }
  return { name: 'row', corpus, donors: corpus, mutate: mutateBytes, run }
}

/** What is in a row, with a checksum that is right: a bug of the writer, or a newer release. */
export function rowContentTarget(seed: string): FuzzTarget {
  const corpus = rowsOf(seed).map((row) => row.subarray(checksumBytes))
  const run = (input: Buffer): Verdict => {
    const sealed = encodeSealed(objectKey.row, input)
    mustHold(equalBytes(decodeSealed(objectKey.row, sealed), input), 'sealed rows come back')
    const row = attempt(() => decodeRow(objectKey.row, sealed), 'decode error')
    if (!row.ok) return 'refused'
    mustHold(equalBytes(encodeRow(objectKey.row, row.value), sealed), 'a row has one encoding')
    return 'accepted'
  }
  return { name: 'row-content', corpus, donors: corpus, mutate: mutateBytes, run }
}

/** Objects as peers send them and rows hold them. */
export function objectTarget(seed: string): FuzzTarget {
  const objects = sampleObjects(seed, 60)
  const corpus = mostlySmall(
    objects.flatMap((versions) => [encodeObject(versions, 'whole'), encodeObject(versions, 'row')])
  )
  const run = (input: Buffer): Verdict => {
    const object = attempt(() => decodeObject(input), 'decode error')
    const foreign = attempt(() => decodeForeignObject(input), 'decode error')
    mustHold(object.ok || !foreign.ok, 'what no row may hold is not taken from a peer either')
    if (!object.ok) return 'refused'
    const versions = object.value
    const isWhole = versions.every(({ tombstone, value }) => tombstone || value !== null)
    const again = encodeObject(versions, isWhole ? 'whole' : 'row')
    mustHold(equalBytes(again, input), 'an object has one encoding')
    if (foreign.ok) {
      mustHold(isWhole, 'an object of a peer has all its values')
      for (const version of versions) {
        const hash = hashContent(version.dot, version)
        mustHold(equalBytes(hash, version.contentHash), 'content hashes of a peer are checked')
      }
    }
    checkUse(versions)
    if (isWhole) checkForged(versions)
    return 'accepted'
  }
  return { name: 'object', corpus, donors: corpus, mutate: mutateObject, run }
}

/** What a node does with versions that it has accepted must not fail later, when nobody expects it any more. */
function checkUse(versions: Versions): void {
  const dots = versions.map(({ dot }) => formatDot(dot))
  for (const { dot, timeMs, expiresAtMs } of versions) {
    valueRowKey(objectKey, dot)
    mustHold(!Number.isNaN(new Date(timeMs).getTime()), 'the time of a version is a date')
    mustHold(!Number.isNaN(new Date(expiresAtMs).getTime()), 'the expiry of a version is a date')
  }
  mustHold(Number.isSafeInteger(latestTimeOf(versions) + 1), 'there is a time after every other')
  mustHold(descends(contextOf(versions), emptyVector), 'a context descends from nothing')
  mustHold(new Set(dots).size === dots.length, 'an object has one version a dot')
  const merged = merge(versions, versions, 'siblings')
  mustHold(
    equalBytes(hashObject(merged), hashObject(merge(merged, versions, 'siblings'))),
    'merging is idempotent'
  )
}

/** The same versions with hashes made to fit, as a peer would send them that knows how: they come back as they are. */
function checkForged(versions: Versions): void {
  const forged = versions.map((version) => {
    return { ...version, contentHash: hashContent(version.dot, version) }
  })
  const bytes = encodeObject(forged, 'whole')
  const again = encodeObject(decodeForeignObject(bytes), 'whole')
  mustHold(equalBytes(again, bytes), 'an object with hashes that fit is taken as it is')
}

/** What a node has written down of itself. */
export function identityTarget(seed: string): FuzzTarget {
  const random = new SeededRandom(seed)
  const corpus = Array.from({ length: 40 }, (_, index) => {
    const minter = new Minter(random, null)
    for (let renewals = index % 7; renewals > 0; renewals--) minter.renew()
    return encodeIdentity(minter.identity(index % 2 === 0))
  })
  const run = (input: Buffer): Verdict => {
    const identity = attempt(() => decodeIdentity(input), 'decode error')
    if (!identity.ok) return 'refused'
    mustHold(equalBytes(encodeIdentity(identity.value), input), 'an identity has one encoding')
    const minter = new Minter(random, identity.value, new MintedRows(1))
    const dot = minter.mint(objectKey, null, emptyVector, emptyVector)
    mustHold(valueRowKey(objectKey, dot).length > 0, 'whoever reads an identity can mint')
    return 'accepted'
  }
  return { name: 'identity', corpus, donors: corpus, mutate: mutateBytes, run }
}

/** Keys of rows, as a walk over the database meets them. */
export function objectKeyTarget(seed: string): FuzzTarget {
  const random = new SeededRandom(seed)
  const names = [0, 1, 2, 20, 255, 256, 300]
  const keys = names.flatMap((length) =>
    names.map((other) => makeObjectKey(random.bytes(8), random.bytes(length), random.bytes(other)))
  )
  const corpus = keys.map(({ row }) => row)
  const dot = { actor: 'incarnat000001', counter: 1 }
  const donors = [metaRowKey('identity'), ...keys.map((key) => valueRowKey(key, dot))]
  const run = (input: Buffer): Verdict => {
    const parsed = attempt(() => parseObjectKey(input), 'decode error')
    if (!parsed.ok) return 'refused'
    const { token, bucket, key } = parsed.value
    mustHold(
      equalBytes(makeObjectKey(token, bucket, key).row, input),
      'the key of a row has one encoding'
    )
    return 'accepted'
  }
  return { name: 'object-key', corpus, donors, mutate: mutateBytes, run }
}
