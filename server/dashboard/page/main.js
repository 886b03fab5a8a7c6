/** @import { StateEvent } from '../event-schemas.ts' */

import { connectButtons } from './actions.js'
import { follow } from './connection.js'
import { showHealth } from './health.js'
import './inspector.js'
import { showMembers } from './members.js'
import { breakPlots, showRequests } from './plots.js'
import { showRepair } from './repair.js'
import { showRing } from './ring.js'
import { showSummary } from './summary.js'

/** @type {StateEvent | null} */
let current = null

connectButtons(() => current)

follow({
  onSnapshot: (snapshot) => {
    const { state, ring } = snapshot
    current = state
    showSummary(state)
    showRing(snapshot)
    showMembers(state, ring.nodes)
    showRequests(state)
    showRepair(state)
    showHealth(state)
  },
  onLost: breakPlots
})
