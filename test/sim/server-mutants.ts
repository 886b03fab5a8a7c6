import type { Mutant } from './mutant.ts'

const writeOperation = 'server/coordinator/write-operation.ts'
const writeTally = 'server/coordinator/write-tally.ts'
const readTally = 'server/coordinator/read-tally.ts'

/** Rules of coordinators, contexts and peer links, each broken. */
export const serverMutants: readonly Mutant[] = [
  {
    name: 'only-the-new-version',
    rule: 'The other replicas are sent the merged object, not the new version alone.',
    edits: [
      {
        file: writeOperation,
        find: 'this.#object = local.wholeObject(this.#key, row)',
        replace: "this.#object = encodeObject([result.version], 'whole')"
      }
    ]
  },
  {
    name: 'context-of-any-key',
    rule: 'A context is bound to its bucket and key.',
    edits: [
      {
        file: 'server/context-token.ts',
        find: 'return hasher(head, key.bucket, key.key, content)',
        replace: 'return hasher(content)'
      }
    ]
  },
  {
    name: 'acknowledgements-counted',
    rule: 'Acknowledgements are counted by the node, so that one that comes twice counts once.',
    edits: [
      {
        file: 'server/peer/peer-link.ts',
        find: '  readonly #pending = new PendingRequests<Pending>()\n',
        replace: `  readonly #pending = new PendingRequests<Pending>()
  readonly #settled = new Map<number, Pending>()\n`
      },
      {
        file: 'server/peer/peer-link.ts',
        find: `    const pending = this.#pending.take(id)
    if (pending === undefined) return
`,
        replace: `    const pending = this.#pending.take(id) ?? this.#settled.get(id)
    if (pending === undefined) return
    this.#settled.set(id, pending)
`
      },
      {
        file: writeTally,
        find: '    if (this.#isAcknowledged(replica)) return wait\n',
        replace: '    if (this.#isAcknowledged(replica)) replica += "\'"\n'
      },
      {
        file: writeTally,
        find: '    for (const replica of this.#replicas) if (this.#isAcknowledged(replica)) count++\n',
        replace:
          '    for (const replica of this.#answers.keys()) if (this.#isAcknowledged(replica)) count++\n'
      },
      {
        file: writeTally,
        find: 'if (canBeMet(this.#quorum, (id) => this.#isAcknowledged(id))) {',
        replace: 'if (this.acknowledged >= (this.#quorum[0]?.needed ?? 1)) {'
      }
    ]
  },
  {
    name: 'old-epoch-accepted',
    rule: 'A request of a peer that goes by another ring is refused.',
    edits: [
      {
        file: 'server/peer-service.ts',
        find: 'if (origin.epoch !== cluster.ring.epoch) {',
        replace: "if (origin.epoch === '') {"
      }
    ]
  },
  {
    name: 'repeated-request-carried-out',
    rule: 'A request that arrives twice is carried out once.',
    edits: [
      {
        file: 'server/peer/peer-acceptor.ts',
        find: '    if (this.#recentIds.seen(id)) return\n',
        replace: ''
      }
    ]
  },
  {
    name: 'passed-on-again',
    rule: 'A write that was passed on, with an outcome that is not known, is not passed on again.',
    edits: [
      {
        file: 'server/coordinator/write-coordinator.ts',
        find: "return outcome.reason === 'unreachable' || outcome.reason === 'overloaded'",
        replace: 'return outcome.reason !== null'
      }
    ]
  },
  {
    name: 'read-before-quorum',
    rule: 'A read is answered once R replicas have answered.',
    edits: [
      {
        file: readTally,
        find: 'if (canBeMet(this.#quorum, isIn) && this.answered >= this.#extra) return this.#answer()',
        replace: 'if (this.answered >= Math.max(1, this.#extra)) return this.#answer()'
      }
    ]
  },
  {
    name: 'failure-taken-for-nothing',
    rule: 'A replica that did not answer a read does not count as one that holds nothing.',
    edits: [
      {
        file: readTally,
        find: '    this.#answers.set(replica, answer)\n',
        replace: `    const nothing = { kind: 'versions', versions: [], objectHash: hashObject([]) } as const
    this.#answers.set(replica, answer.kind === 'failed' ? nothing : answer)\n`
      }
    ]
  },
  {
    name: 'failure-taken-for-acknowledged',
    rule: 'A replica that did not answer a write has not acknowledged it.',
    edits: [
      {
        file: writeOperation,
        find: "this.#carryOut(this.#tally.add(replica, { kind: 'failed', unknown }))",
        replace:
          "this.#carryOut(this.#tally.add(replica, unknown ? { kind: 'acknowledged' } : { kind: 'failed', unknown }))"
      },
      {
        file: writeTally,
        find: "return { kind: 'fail', timedOut: true }",
        replace: "return { kind: 'done' }"
      }
    ]
  },
  {
    name: 'replicas-that-are-up',
    rule: 'The replicas of a key are those that the ring names, not those that are up at the moment.',
    edits: [
      {
        file: 'server/coordinator/coordinator-context.ts',
        find: '  return ring.replicas(partitionOf(key.token, ring.partitions))\n',
        replace: `  const walk = ring.walk(partitionOf(key.token, ring.partitions))
  return walk.filter((id) => id === context.selfId || context.peers.isUp(id)).slice(0, 3)\n`
      }
    ]
  },
  {
    name: 'no-widening',
    rule: 'A read that is asked for something as new as a context does not answer with less.',
    edits: [
      {
        file: 'server/coordinator/read-operation.ts',
        find: 'if (descends(contextOf(versions), vector)) return true\n',
        replace: 'if (descends(contextOf(versions), vector) || vector.size > 0) return true\n'
      }
    ]
  },
  {
    name: 'lost-request-forgotten',
    rule: 'Every request to a peer ends, also where its link is lost.',
    edits: [
      {
        file: 'server/peer/peer-link.ts',
        find: "    for (const [, { callback }] of lost) callback({ kind: 'noResponse', reason: 'lost' })\n",
        replace: '    lost.length = 0\n'
      }
    ]
  },
  {
    name: 'no-deadline',
    rule: 'A request to a peer ends by its deadline.',
    edits: [
      {
        file: 'server/peer/peer-link.ts',
        find: 'if (pending.deadlineMs > nowMs) {',
        replace: 'if (pending.deadlineMs > nowMs / 1e9) {'
      }
    ]
  },
  {
    name: 'context-without-time',
    rule: 'A context carries the time of what was seen, so that what is written next is later.',
    edits: [
      {
        file: 'server/context-token.ts',
        find: 'writer.uint8(format).varint(context.timeMs)',
        replace: 'writer.uint8(format).varint(0)'
      }
    ]
  }
]
