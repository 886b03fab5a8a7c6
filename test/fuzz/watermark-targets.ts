import { equalBytes } from '../../core/bytes.ts'
import { packTable, unpackTable } from '../../repair/report-table-codec.ts'
import { decodeWatermark, encodeWatermark } from '../../repair/watermark-vector.ts'
import { decodeDots, encodeDots } from '../../storage/dots-codec.ts'
import { makeActor } from '../../storage/version-vector.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { mutateBytes } from './byte-mutations.ts'
import { attempt, type FuzzTarget, mustHold, type Verdict } from './fuzz-target.ts'

const corpusSize = 40

/** What peers say of what has been proven: tables of reports, watermarks, and the dots that are in doubt. */
export function watermarkTarget(seed: string): FuzzTarget {
  const random = new SeededRandom(seed)
  const incarnation = () => Buffer.from(random.bytes(8)).toString('latin1')
  const counter = (i: number) => (i % 3 === 0 ? Number.POSITIVE_INFINITY : i + 1)
  const corpus = Array.from({ length: corpusSize }, (_, i) => {
    const names = Array.from({ length: i % 7 }, incarnation)
    if (i % 3 === 0) {
      return encodeDots(names.map((name, n) => ({ actor: makeActor(name, n), counter: n + 1 })))
    }
    if (i % 3 === 1) return encodeWatermark(new Map(names.map((name, n) => [name, counter(n)])))
    const lower = new Map(i % 2 === 0 ? [[i, 0]] : [])
    return packTable(
      new Map(names.map((name, n) => [name, { member: `n${n}`, upTo: counter(n), lower }]))
    )
  })
  const run = (input: Buffer): Verdict => {
    const table = attempt(() => packTable(unpackTable(input)), 'decode error')
    const vector = attempt(() => encodeWatermark(decodeWatermark(input)), 'decode error')
    const dots = attempt(() => encodeDots(decodeDots(input)), 'decode error')
    if (table.ok) mustHold(equalBytes(table.value, input), 'a table has one encoding')
    if (dots.ok) mustHold(equalBytes(dots.value, input), 'dots have one encoding')
    if (vector.ok && input.length > 0) {
      mustHold(equalBytes(vector.value, input), 'a watermark has one encoding')
    }
    return table.ok || vector.ok || dots.ok ? 'accepted' : 'refused'
  }
  return { name: 'watermark', corpus, donors: corpus, mutate: mutateBytes, run }
}
