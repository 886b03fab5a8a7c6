import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AlarmFacts, alarmsOf } from '../../server/dashboard/alarms.ts'

type Member = AlarmFacts['members'][number]

function member(id: string, down: readonly string[] = [], epoch = 'e1'): Member {
  const view = {
    release: '1',
    state: 'ready',
    uptimeSeconds: 1,
    epoch,
    up: [],
    down: [...down],
    hints: 0,
    quarantined: 0,
    repairHeld: ''
  }
  return { id, http: '', zone: '', region: '', state: 'normal', up: true, view }
}

/** A cluster in which nothing is wrong, but for what is given. */
function alarms(given: Partial<AlarmFacts>): readonly string[] {
  const facts = {
    notReady: [],
    cluster: { name: 'c', epoch: 'e1', partitions: 1 },
    members: [member('n1'), member('n2')],
    quarantine: { count: 0, bytes: 0 },
    damage: { rows: 0, unreadableSlices: 0, leaves: 0, scrubbedRows: 0, scrubRounds: 0 },
    watermarks: { behind: 0, membersUnheard: [] },
    hints: [],
    repair: { background: { state: 'running' }, pairs: {}, isPaused: false, isEnabled: true },
    ...given
  } as unknown as AlarmFacts
  return alarmsOf(facts).map(({ severity, text }) => `${severity}: ${text}`)
}

test('nothing is said where nothing is wrong', () => {
  assert.deepEqual(alarms({}), [])
})

test('problems come before notices', () => {
  const repair = { background: { state: 'paused' }, pairs: { differs: 3 }, isPaused: true }
  const found = alarms({
    members: [
      { ...member('n1'), state: 'leaving' },
      { ...member('n2'), up: false }
    ],
    repair: { ...repair, isEnabled: true } as unknown as AlarmFacts['repair']
  })
  assert.deepEqual(found, [
    'problem: n2 is down as this node sees it',
    'notice: n1 is leaving',
    'notice: replicas are known to differ, and are not repaired yet',
    'notice: background repair is paused: an operator did that'
  ])
})

test('a link that is broken between two others is a problem, and so is another ring', () => {
  const members = [member('n1'), member('n2', ['n3']), member('n3', [], 'e2')]
  assert.deepEqual(alarms({ members }), [
    'problem: n2 does not see n3, but this node does',
    'problem: n3 goes by another ring (e2) than this node'
  ])
})

test('damage, quarantine, and what cannot be served or proven are told', () => {
  const found = alarms({
    damage: { rows: 0, unreadableSlices: 0, leaves: 1, scrubbedRows: 0, scrubRounds: 0 },
    quarantine: { count: 2, bytes: 10 },
    watermarks: { behind: 3, membersUnheard: ['n9'] } as unknown as AlarmFacts['watermarks'],
    hints: [{ target: 'n2', count: 5, bytes: 1, oldestSeconds: null }],
    notReady: ['not ready: storage: gone']
  })
  assert.equal(found.length, 6)
  assert.equal(found[0], 'problem: not ready: storage: gone')
  assert.match(found[1] ?? '', /^problem: 2 versions .* quarantine$/)
  assert.match(found[2] ?? '', /^problem: damage/)
  assert.match(found[3] ?? '', /^problem: .* no reads of 3 partitions/)
  assert.match(found[4] ?? '', /^notice: .*n9/)
  assert.equal(found[5], 'notice: hints wait here for n2')
})
