import type { Mutant } from './mutant.ts'
import {
  busyComparisons,
  forgottenProofs,
  hintsAndLostDisks,
  hintsThatChange,
  hintsThatExpire,
  oldDisks,
  slowHints,
  slowHintsAndLostDisks,
  slowHintsOfDeleted
} from './situations.ts'

const arrival = 'repair/arrival.ts'
const collection = 'repair/collection.ts'
const reception = 'server/reception.ts'
const hashTrees = 'storage/hash-trees.ts'
const responder = 'repair/reconcile/responder-session.ts'

/** Rules of hints, hash trees, exchanges and watermarks, each broken. */
export const repairMutants: readonly Mutant[] = [
  {
    name: 'hint-deleted-though-changed',
    rule: 'A hint goes only when the very object that it holds was acknowledged.',
    situation: hintsThatChange,
    edits: [
      {
        file: 'storage/hint-store.ts',
        find: "    if (!equalBytes(held.objectHash, objectHash)) return 'changed'\n",
        replace: ''
      }
    ]
  },
  {
    name: 'hint-deleted-before-synced',
    rule: 'A hint goes only when its target has it on disk.',
    edits: [
      {
        file: 'server/arrival-service.ts',
        find: 'await local.receiveBytes(keyOf(bucket, key), object, sender)',
        replace: `await (synced
      ? local.takeBytes(keyOf(bucket, key), object, sender, () => true)
      : local.receiveBytes(keyOf(bucket, key), object, sender))`
      },
      {
        file: 'server/arrival-service.ts',
        find: '    if (synced) await local.sync()\n',
        replace: ''
      }
    ]
  },
  {
    name: 'ended-before-hints-are-asked-for',
    rule: 'That an incarnation has ended is reported when all members have said what their hints hold of it.',
    situation: slowHintsAndLostDisks,
    edits: [
      {
        file: 'repair/report-exchange.ts',
        find: 'upTo !== ended || elsewhere.isKnownOf(incarnation, others)',
        replace: 'true'
      }
    ]
  },
  {
    name: 'report-ignores-hints-elsewhere',
    rule: 'A report stays below what other members keep as hints.',
    situation: hintsAndLostDisks,
    edits: [
      {
        file: 'repair/report-exchange.ts',
        find: 'meetHintedDots(here, elsewhere.least(incarnations, others))',
        replace: 'here'
      }
    ]
  },
  {
    name: 'hints-dropped-when-expired',
    rule: 'A hint that has expired goes when somebody else holds what it holds.',
    situation: hintsThatExpire,
    edits: [
      {
        file: 'repair/hint-delivery.ts',
        find: "    if (route.kind === 'wait') {",
        replace: `    const { clock, maxAgeMs } = this.#options
    if (hintAgeMs(hint.storedMs, clock.now()) >= maxAgeMs) this.#expire(hint)
    else if (route.kind === 'wait') {`
      }
    ]
  },
  {
    name: 'hints-without-bound',
    rule: 'The hints for one target have a bound.',
    edits: [
      {
        file: 'storage/hint-store.ts',
        find: '+ bytes > bytesPerTargetMax) {',
        replace: '+ bytes > bytesPerTargetMax * 1000) {'
      }
    ]
  },
  {
    name: 'tombstone-outside-the-tree',
    rule: 'A tombstone is in the hash tree like any other version.',
    edits: [
      {
        file: 'storage/store.ts',
        find: 'trees.change(key, before?.objectHash ?? null, row?.objectHash ?? null)',
        replace: `trees.change(
          key,
          before?.versions.every(({ tombstone }) => tombstone) ? null : (before?.objectHash ?? null),
          row?.versions.every(({ tombstone }) => tombstone) ? null : (row?.objectHash ?? null)
        )`
      }
    ]
  },
  {
    name: 'leaf-not-updated-on-repair',
    rule: 'Whatever changes a row changes its leaf.',
    edits: [
      {
        file: 'storage/store.ts',
        find: '    if (trees !== undefined) {\n      changes',
        replace:
          '    if (trees !== undefined && (row === null || row.mintActor !== null)) {\n      changes'
      }
    ]
  },
  {
    name: 'leaf-updated-twice',
    rule: 'A row is counted once.',
    edits: [
      {
        file: hashTrees,
        find: '    if (added !== null) tree.leaves.add(leaf, added)\n',
        replace: `    if (added !== null) tree.leaves.add(leaf, added)
    if (added !== null && removed === null) tree.leaves.add(leaf, added)\n`
      }
    ]
  },
  {
    name: 'dirty-mark-not-written',
    rule: 'The first change of a leaf since its checkpoint leaves a mark in the same batch.',
    edits: [
      {
        file: hashTrees,
        find: "    return [{ type: 'put', key: dirtyRowKey(partition, leaf), content: nothing }]",
        replace: '    return noChanges'
      }
    ]
  },
  {
    name: 'collected-by-age',
    rule: 'A tombstone is collected when it is proven to be everywhere, not because it is old.',
    edits: [
      {
        file: collection,
        find: "if (!watermarks.collectable(partition, version, nowMs)) return 'notProven'",
        replace: "if (!watermarks && partition >= 0) return 'notProven'"
      }
    ]
  },
  {
    name: 'past-not-proven',
    rule: 'A tombstone is collected when all that it has overwritten is proven to be everywhere too.',
    situation: slowHintsOfDeleted,
    edits: [
      {
        file: 'repair/watermarks.ts',
        find: 'return !isLive(version, nowMs) && this.covers(partition, version)',
        replace: 'return !isLive(version, nowMs) && this.atOrBelow(partition, version.dot)'
      }
    ]
  },
  {
    name: 'proven-though-unequal',
    rule: 'A proof is made of two replicas that were found equal.',
    situation: busyComparisons,
    edits: [
      {
        file: 'repair/reconcile/reconcile-session.ts',
        find: "progress.isToBeLookedAt ? 'again' : 'equal'",
        replace: "progress.passes < 0 ? 'again' : 'equal'"
      },
      {
        file: 'repair/reconcile/leaf-repair.ts',
        find: "    progress.obstacle = 'rows that should be everywhere are being written just now'\n",
        replace: ''
      }
    ]
  },
  {
    name: 'proven-though-not-synced',
    rule: 'A proof is made of rows that are on disk on both sides.',
    edits: [
      {
        file: 'repair/reconcile/session-close.ts',
        find: "  yield* perform({ kind: 'sync' })\n",
        replace: ''
      },
      {
        file: responder,
        find: "    yield* perform({ kind: 'sync' })\n    if (proven",
        replace: '    if (proven'
      }
    ]
  },
  {
    name: 'hot-leaf-taken-for-equal',
    rule: 'A difference too young to act on keeps its partition from being proven.',
    situation: busyComparisons,
    edits: [
      {
        file: 'repair/reconcile/leaf-repair.ts',
        find: "    progress.obstacle = 'rows that should be everywhere are being written just now'\n",
        replace: ''
      }
    ]
  },
  {
    name: 'watermark-ignored-on-arrival',
    rule: 'What was once known to all and is not held here is not taken before the others were asked.',
    situation: oldDisks,
    edits: [
      {
        file: arrival,
        find: 'if (watermark.size === 0 || !arriving.some',
        replace: 'if (watermark.size >= 0 || !arriving.some'
      }
    ]
  },
  {
    name: 'own-absence-concludes',
    rule: 'That a replica lacks a version proves nothing; the others are asked.',
    situation: forgottenProofs,
    edits: [
      {
        file: arrival,
        find: "const conclusion = isNew ? 'take' : conclusions.get(formatDot(dot))",
        replace:
          "const conclusion = isNew ? 'take' : (conclusions.get(formatDot(dot)) ?? 'quarantine')"
      }
    ]
  },
  {
    name: 'part-of-a-row-taken',
    rule: 'An object is taken whole or not at all.',
    situation: forgottenProofs,
    edits: [
      {
        file: arrival,
        find: "  if (refused) return { kind: 'refuse', suspects }\n",
        replace: "  if (refused && versions.length === 0) return { kind: 'refuse', suspects }\n"
      },
      {
        file: arrival,
        find: "  if (suspects.length > 0) return { kind: 'consult', suspects }\n",
        replace:
          "  if (suspects.length > 0 && versions.length === 0) return { kind: 'consult', suspects }\n"
      }
    ]
  },
  {
    name: 'report-ignores-hints',
    rule: 'A report vouches for what lies in rows, not for what waits among hints.',
    situation: slowHints,
    edits: [
      {
        file: 'repair/report-exchange.ts',
        find: 'const here = hinted(incarnations)',
        replace: 'const here = hinted(incarnations) && new Map()'
      }
    ]
  },
  {
    name: 'behind-and-reading',
    rule: 'A node whose disk is behind what its peers have proven answers no reads.',
    situation: oldDisks,
    edits: [
      {
        file: 'repair/watermarks.ts',
        find: 'return this.#ahead.size > 0 && this.#ahead.has(partition)',
        replace: 'return this.#ahead.size < 0 && this.#ahead.has(partition)'
      }
    ]
  },
  {
    name: 'proofs-not-prepared',
    rule: 'Before a peer can note a proof, this node can answer for it.',
    edits: [
      {
        file: 'repair/watermarks.ts',
        find: 'const changed = this.#prepared.note({ pair, table, partitions })',
        replace: 'const changed = this.#prepared.note({ pair, table, partitions: [] })'
      }
    ]
  },
  {
    name: 'reads-before-hearing',
    rule: 'A node that has come back answers no reads before it has heard the watermarks of those it can reach.',
    situation: oldDisks,
    edits: [
      {
        file: 'repair/first-hearing.ts',
        find: 'if (id === selfId || this.#heard.has(id)) continue',
        replace: 'if (id === selfId || id !== asking) continue'
      },
      {
        file: 'repair/first-hearing.ts',
        find: 'if (id === asking || isReachable(id)) return true',
        replace: 'if (id === asking && isReachable(id)) return false'
      }
    ]
  },
  {
    name: 'repair-overwrites',
    rule: 'What an exchange brings is merged, never put in the place of what is held.',
    edits: [
      {
        file: reception,
        find: `    const { result, durable } = this.#merge(key, { versions: arriving, bytes }, watermark)
    if (result.kind !== 'take') {`,
        replace: `    const arrived = { versions: arriving, bytes }
    const { result, durable } = this.#merge(key, arrived, watermark, noConclusions, 'repair')
    if (result.kind !== 'take') {`
      },
      {
        file: reception,
        find: 'const versions = merge(held, judged.versions, mode)',
        replace: "const versions = merge(sender === 'repair' ? [] : held, judged.versions, mode)"
      }
    ]
  },
  {
    name: 'snapshot-not-compared',
    rule: 'Both sides of an exchange speak of the same two snapshots.',
    edits: [
      {
        file: responder,
        find: 'const isSame = part?.theirs === snapshot && part.snapshot.id === peerSnapshot',
        replace: 'const isSame = part !== undefined && snapshot + peerSnapshot >= 0'
      }
    ]
  },
  {
    name: 'cancelled-session-goes-on',
    rule: 'An exchange that was ended writes nothing any more, and is over.',
    test: 'test/repair/reconcile-faults.test.ts',
    edits: [
      {
        file: 'repair/reconcile/call-performer.ts',
        find: "    if (this.#stopped) throw new AnnealError('not_ready', 'the exchange was ended')\n",
        replace: "    if (this.#timers.size < 0) throw new AnnealError('not_ready', '')\n"
      },
      {
        file: 'repair/reconcile/call-performer.ts',
        find: '    this.#stopped = true\n    this.#queue.length = 0\n',
        replace: ''
      },
      {
        file: 'repair/reconcile/call-performer.ts',
        find: '    if (this.#stopped) return\n',
        replace: ''
      }
    ]
  },
  {
    name: 'scrub-finds-nothing',
    rule: 'What has rotted on disk is found, and taken from the other replicas.',
    edits: [
      {
        file: 'server/repair/upkeep-tasks.ts',
        find: '    if (rowsMax === 0) return false\n',
        replace: '    if (rowsMax >= 0) return false\n'
      }
    ]
  }
]
