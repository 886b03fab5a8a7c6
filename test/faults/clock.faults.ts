import { renameSync, writeFileSync } from 'node:fs'
import type { Arena } from './arena.ts'
import { libfaketimePath } from './prerequisites.ts'
import type { Scenario } from './scenario.ts'

/** From one to the next: forwards, far forwards, back to the truth, behind it, far behind it. */
const offsets = ['+30s', '+2h', '+400d', '+0', '-30s', '-2h', '-400d', '+0', '+1d', '-1d']
const lastsMs = 2500
const sawtoothSteps = 12
const victimNumber = 1
const lwwShare = 0.4
const graceMs = 2 * 365 * 24 * 3600 * 1000

/** The wall clock of one node is set back and forth while it serves. */
export const clockScenario: Scenario = {
  name: 'clock',
  what: 'the clock of one node set back and forth, by up to 400 days',
  rounds: offsets.length + 1,
  quickRounds: 4,
  needs: ['faketime'],
  async run(arena) {
    const offsetFile = `${arena.directory}/offset`
    setClock(offsetFile, '+0')
    await arena.plan({
      // By its own clock each replica decides when to let a tombstone go: none may be that old by any of them.
      set: [`tombstones.graceMs=${graceMs}`],
      launcherOf: (node) => (node === victimNumber ? fakeTime(offsetFile) : null)
    })
    // Where the latest write wins, the clock decides, but never against a write that had seen the other one.
    await arena.begin(lwwShare)
    while (arena.roundsDone < arena.rounds) {
      const offset = offsets[arena.roundsDone]
      if (offset === undefined) await sawtooth(arena, offsetFile)
      else await moveClock(arena, offsetFile, offset)
      await arena.judge()
      arena.roundDone(`the clock of n${victimNumber} ${offset ?? 'back and forth quickly'}`)
    }
  }
}

async function moveClock(arena: Arena, offsetFile: string, offset: string): Promise<void> {
  setClock(offsetFile, offset)
  await arena.pass(lastsMs)
  await checkClock(arena, offset)
}

async function sawtooth(arena: Arena, offsetFile: string): Promise<void> {
  for (let step = 0; step < sawtoothSteps; step++) {
    setClock(offsetFile, arena.random.pick(offsets))
    await arena.pass(100, 400)
  }
}

/** Without this a library that was not loaded would pass for a node that does not care. */
async function checkClock(arena: Arena, offset: string): Promise<void> {
  const [, sign, digits, unit] = /^([+-])(\d+)([shd]?)$/.exec(offset) ?? []
  const seconds = Number(`${sign}${digits}`) * (unit === 'd' ? 86_400 : unit === 'h' ? 3600 : 1)
  const answer = await fetch(`${arena.cluster.node(victimNumber).url}/livez`)
  await answer.body?.cancel()
  const shownSeconds = (Date.parse(answer.headers.get('date') ?? '') - Date.now()) / 1000
  arena.expect(
    Math.abs(shownSeconds - seconds) < 10,
    `the clock of n${victimNumber} was to be off by ${seconds} s, and is off by ${shownSeconds} s`
  )
}

/** In one step, so that nobody reads half a file. */
function setClock(offsetFile: string, offset: string): void {
  writeFileSync(`${offsetFile}.new`, `${offset}\n`)
  renameSync(`${offsetFile}.new`, offsetFile)
}

/** Timers must go by a clock that never jumps; only the time of day is to be wrong. */
function fakeTime(offsetFile: string): string {
  const settings = [
    `LD_PRELOAD=${libfaketimePath()}`,
    `FAKETIME_TIMESTAMP_FILE=${offsetFile}`,
    'FAKETIME_NO_CACHE=1',
    'FAKETIME_DONT_FAKE_MONOTONIC=1'
  ]
  return `env ${settings.join(' ')}`
}
