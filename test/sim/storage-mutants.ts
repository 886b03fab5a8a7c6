import type { Mutant } from './mutant.ts'
import { forgottenRows, oldRows, salvagedDisks } from './situations.ts'

const minter = 'storage/minter.ts'
const coordinate = 'storage/coordinate.ts'
const version = 'storage/version.ts'
const store = 'storage/store.ts'
const groupCommit = 'storage/group-commit.ts'
const reception = 'server/reception.ts'

/** Rules of dots, versions, rows and batches, each broken. */
export const storageMutants: readonly Mutant[] = [
  {
    name: 'salvage-keeps-knowledge',
    rule: 'What was known of the rows of a database counts no more once it was salvaged.',
    situation: salvagedDisks,
    edits: [
      {
        file: 'storage/salvaged-rows.ts',
        find: 'return !knowledge.includes(rowKey[0])',
        replace: 'return !knowledge.includes(rowKey[rowKey.length])'
      }
    ]
  },
  {
    name: 'read-await-stage',
    rule: 'A row is read, merged and staged without waiting for anything in between.',
    edits: [
      {
        file: store,
        find: '  get pendingBytes(): number {',
        replace: `  pause(): Promise<void> {
    return new Promise((resolve) => this.#options.timers.set(resolve, 1))
  }

  get pendingBytes(): number {`
      },
      {
        file: reception,
        find: `  receive(
    key: ObjectKey,
    arriving: Versions,
    sender: string | null,
    bytes: Uint8Array | null = null
  ): Promise<ReceiveOutcome> {
    const watermark = this.#watermarkOf(key)
    const { result, durable } = this.#merge(key, { versions: arriving, bytes }, watermark)`,
        replace: `  async receive(
    key: ObjectKey,
    arriving: Versions,
    sender: string | null,
    bytes: Uint8Array | null = null
  ): Promise<ReceiveOutcome> {
    const watermark = this.#watermarkOf(key)
    const { store } = this.#options
    const { row: before } = store.mutate(key, () => ({ next: null, result: null }))
    await store.pause()
    const arrived = { versions: arriving, bytes }
    const { result, durable } = this.#merge(key, arrived, watermark, noConclusions, null, before)`
      },
      {
        file: reception,
        find: '    sender: string | null = null\n  ): Mutation<Judged> {',
        replace:
          '    sender: string | null = null,\n    before?: Row | null\n  ): Mutation<Judged> {'
      },
      {
        file: reception,
        find: '      const held = current?.versions ?? []\n      const judged',
        replace:
          '      const held = (before === undefined ? current : before)?.versions ?? []\n      const judged'
      }
    ]
  },
  {
    name: 'counter-from-record',
    rule: "The counter of a dot is the node's own, never read from the record.",
    edits: [
      {
        file: minter,
        find: 'const counter = ++this.#counter',
        replace: `const counter = ((mintActor && rowContext.get(mintActor)) ?? 0) + 1
    this.#counter = Math.max(this.#counter, counter)`
      }
    ]
  },
  {
    name: 'incarnation-kept',
    rule: 'A node takes a new incarnation at every start.',
    edits: [
      {
        file: minter,
        find: 'this.#incarnation = drawIncarnation(random)',
        replace: 'this.#incarnation = last?.incarnation ?? drawIncarnation(random)'
      }
    ]
  },
  {
    name: 'epoch-single',
    rule: 'A row that is new here, or came from elsewhere, is minted on under a new epoch.',
    situation: forgottenRows,
    edits: [
      {
        file: minter,
        find: 'return { actor: makeActor(this.#incarnation, counter), counter }',
        replace: 'return { actor: makeActor(this.#incarnation, mintActor ? counter : 1), counter }'
      }
    ]
  },
  {
    name: 'epoch-of-an-old-row',
    rule: 'An actor does not go on on a row that has forgotten what it minted there last.',
    situation: oldRows,
    edits: [{ file: minter, find: 'onRow >= this.#minted.last(key)', replace: 'onRow >= 0' }]
  },
  {
    name: 'epoch-unseen',
    rule: 'An epoch ends where a writer has not seen the last of it on the row.',
    edits: [
      {
        file: minter,
        find: '(seen.get(mintActor) ?? 0) >= onRow',
        replace: '(seen.get(mintActor) ?? 0) >= 0'
      }
    ]
  },
  {
    name: 'receipt-without-dot',
    rule: 'A writer has seen its own write.',
    edits: [{ file: coordinate, find: '  addDot(context, dot)\n', replace: '' }]
  },
  {
    name: 'context-without-dot',
    rule: 'The context of a read covers the dots of what was shown, not only their pasts.',
    edits: [{ file: version, find: '  addDot(context, version.dot)\n', replace: '' }]
  },
  {
    name: 'blind-write-covers',
    rule: 'A write overwrites what its writer has seen and what nobody is shown, and nothing else.',
    edits: [
      { file: coordinate, find: 'if (!isLive(version, nowMs)) addVersion', replace: 'addVersion' }
    ]
  },
  {
    name: 'time-by-the-clock',
    rule: 'The time of a write is later than the time of all that its writer had seen.',
    edits: [
      {
        file: coordinate,
        find: 'const timeMs = Math.max(rules.nowMs, latestTimeMs + 1)',
        replace: 'const timeMs = rules.nowMs || latestTimeMs'
      }
    ]
  },
  {
    name: 'merge-keeps-covered',
    rule: 'A merge drops the versions that another one has seen.',
    edits: [
      {
        file: version,
        find: '(version) => !union.some((other) => other !== version && covers(other.past, version.dot))',
        replace: '(version) => !union.some((other) => other !== version && !version)'
      }
    ]
  },
  {
    name: 'merge-drops-concurrent',
    rule: 'A merge keeps versions that have not seen each other.',
    edits: [
      {
        file: version,
        find: "if (mode === 'lww') return greatest(union)",
        replace: 'if (mode) return greatest(union)'
      }
    ]
  },
  {
    name: 'lww-by-arrival',
    rule: 'Where the latest write wins, it is the latest by time, not by arrival.',
    edits: [
      {
        file: version,
        find: "if (mode === 'lww') return greatest(union)",
        replace: "if (mode === 'lww') return greatest(b)"
      }
    ]
  },
  {
    name: 'hash-of-the-first',
    rule: 'The hash of an object is one over all of its versions.',
    edits: [
      {
        file: version,
        find: 'if (first !== undefined && versions.length === 1) return first.contentHash',
        replace: 'if (first !== undefined) return first.contentHash'
      }
    ]
  },
  {
    name: 'arrival-overwrites',
    rule: 'What arrives is merged into what is held, never put in its place.',
    edits: [
      {
        file: reception,
        find: 'const versions = merge(held, judged.versions, mode)',
        replace: 'const versions = merge([], judged.versions, mode)'
      }
    ]
  },
  {
    name: 'tombstones-dropped',
    rule: 'A tombstone is kept like any other version.',
    edits: [
      {
        file: reception,
        find: 'const versions = merge(held, judged.versions, mode)',
        replace:
          'const versions = merge(held, judged.versions, mode).filter((version) => !version.tombstone)'
      }
    ]
  },
  {
    name: 'checksum-ignored',
    rule: 'A row is only believed when its checksum matches.',
    edits: [
      {
        file: 'storage/row-codec.ts',
        find: 'if (!equalBytes(checksum, bytes.subarray(0, checksumBytes))) {',
        replace: 'if (equalBytes(checksum, bytes.subarray(1, 1))) {'
      }
    ]
  },
  {
    name: 'staged-not-seen',
    rule: 'A staged row shadows the database until its batch is written.',
    edits: [
      {
        file: 'storage/row-reader.ts',
        find: 'return staged === undefined ? this.#readRow(key) : staged.row',
        replace: 'return staged === null ? null : this.#readRow(key)'
      }
    ]
  },
  {
    name: 'value-not-written',
    rule: 'A value that is kept apart is written in one batch with its row.',
    edits: [
      {
        file: 'storage/row-operations.ts',
        find: "    operations.push({ type: 'put', key: rowKey, value: encodeSealed(rowKey, version.value) })\n",
        replace: ''
      }
    ]
  },
  {
    name: 'value-never-deleted',
    rule: 'A value that is kept apart goes with its version.',
    edits: [
      {
        file: 'storage/row-operations.ts',
        find: "    operations.push({ type: 'del', key: valueRowKey(key, version.dot) })\n",
        replace: ''
      }
    ]
  },
  {
    name: 'acknowledged-before-written',
    rule: 'A batch is acknowledged after it was written.',
    edits: [
      {
        file: store,
        find: 'return { result, row, durable: this.#stage(key, stored, row, operations, changes) }',
        replace:
          'this.#stage(key, stored, row, operations, changes)\n    return { result, row, durable: written }'
      }
    ]
  },
  {
    name: 'failed-batch-retried',
    rule: 'A batch that failed is never tried again and then called durable.',
    edits: [
      {
        file: groupCommit,
        find: '(error: unknown) => this.#fail(batch, error)',
        replace: `() =>
        this.#options.write(batch.operations).then(
          () => this.#written(batch),
          (error: unknown) => this.#fail(batch, error)
        )`
      }
    ]
  },
  {
    name: 'replica-confirms-staged',
    rule: 'A replica confirms a write once it is durable.',
    edits: [
      {
        file: reception,
        find: "if (result.kind === 'take') return durable.then(isTaken)",
        replace: "if (result.kind === 'take') return durable ? Promise.resolve(taken) : durable"
      }
    ]
  },
  {
    name: 'unstaged-by-an-older-batch',
    rule: 'A batch that was written unstages its own rows, not what was staged since.',
    edits: [
      {
        file: 'storage/staged-rows.ts',
        find: 'this.#batches.shift()',
        replace: 'this.#batches.length = 0'
      }
    ]
  }
]
