import assert from 'node:assert/strict'
import { SeededRandom } from '../sim/seeded-random.ts'
import { SimNetwork } from '../sim/sim-network.ts'
import { VirtualTime } from '../sim/virtual-time.ts'
import type { TransportHarness } from './transport-bench.ts'
import { transportSuite } from './transport-suite.ts'

const messageBytesMax = 8 * 1024 * 1024
const patienceMs = 60_000

for (const seed of [1, 2, 3]) {
  transportSuite(`simulated transport, seed ${seed}`, async (): Promise<TransportHarness> => {
    const time = new VirtualTime()
    const network = new SimNetwork({ time, random: new SeededRandom(seed), messageBytesMax })
    return {
      dialer: network.transportFor('a'),
      acceptor: network.transportFor('b'),
      anyAddress: '10.0.0.2:0',
      deadAddress: '10.0.0.3:9801',
      messageBytesMax,
      until: async (condition) => {
        assert.ok(await time.runUntil(condition, patienceMs), 'it comes about in time')
      },
      stop: async () => {
        await time.advance(patienceMs)
        assert.equal(time.pendingCount, 0, 'nothing is left to happen')
      }
    }
  })
}
