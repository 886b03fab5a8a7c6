import { clockScenario } from './clock.faults.ts'
import { damageScenario } from './damage.faults.ts'
import { exchangeScenario } from './exchange.faults.ts'
import { fullDiskScenario } from './full-disk.faults.ts'
import { hintsScenario } from './hints.faults.ts'
import { killScenario } from './kill.faults.ts'
import { networkScenario } from './network.faults.ts'
import { oldDiskScenario } from './old-disk.faults.ts'
import { pauseScenario } from './pause.faults.ts'
import { powerScenario, unsyncedPowerScenario } from './power.faults.ts'
import { removalScenario } from './removal.faults.ts'
import { rotScenario } from './rot.faults.ts'
import type { Scenario } from './scenario.ts'
import { tombstonesScenario } from './tombstones.faults.ts'

/** Every scenario, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  killScenario,
  pauseScenario,
  damageScenario,
  removalScenario,
  fullDiskScenario,
  networkScenario,
  powerScenario,
  unsyncedPowerScenario,
  clockScenario,
  rotScenario,
  oldDiskScenario,
  exchangeScenario,
  tombstonesScenario,
  hintsScenario
]
