import type { Arena } from './arena.ts'
import { addressesIn, launcherIn, Network, type NetworkRules, type Path } from './network.ts'
import type { Scenario } from './scenario.ts'

const nodes = 3
const lastsMs = 6000
const briefMs = 800
const slowMs = 12_000

/** Every round one of these, between the nodes; clients reach all of them all the time. */
const faults: readonly { what: string; ms: number; rules: (node: number) => NetworkRules }[] = [
  { what: 'cut off from both others', ms: lastsMs, rules: (node) => ({ cut: bothWays(node) }) },
  { what: 'hears nobody, is heard', ms: lastsMs, rules: (node) => ({ cut: towards(node) }) },
  { what: 'is heard by nobody, hears', ms: lastsMs, rules: (node) => ({ cut: from(node) }) },
  {
    what: 'cut off for less than is noticed',
    ms: briefMs,
    rules: (node) => ({ cut: bothWays(node) })
  },
  {
    what: 'does not reach one other',
    ms: lastsMs,
    rules: (node) => ({ cut: from(node).slice(1) })
  },
  { what: 'and nobody else reaches anybody', ms: lastsMs, rules: () => ({ cut: everyPath() }) },
  {
    what: 'and everybody late by 200 ms +- 50 and losing 5 %',
    ms: slowMs,
    rules: () => ({ slow: everyPath(), delayMs: 200, jitterMs: 50, loss: 0.05 })
  }
]

/** Partitions, cuts in one direction and bad lines between nodes that have a network namespace and a secret each. */
export const networkScenario: Scenario = {
  name: 'network',
  what: 'partitions, cuts in one direction, and late and lossy lines between network namespaces',
  rounds: faults.length,
  quickRounds: faults.length,
  needs: ['namespaces', 'tun', 'python3'],
  async run(arena) {
    const network = await Network.create(nodes)
    arena.undo(() => network.remove(nodes))
    await arena.plan({
      nodes,
      set: ['cluster.secret=of the fault suite'],
      launcherOf: launcherIn,
      addressesOf: addressesIn
    })
    await arena.begin()
    while (arena.roundsDone < arena.rounds) await oneFault(arena, network)
  }
}

async function oneFault(arena: Arena, network: Network): Promise<void> {
  const fault = faults[arena.roundsDone % faults.length]
  if (fault === undefined) throw new RangeError('there is a fault for each round')
  const node = 1 + arena.random.int(nodes)
  await network.set(fault.rules(node))
  await arena.pass(fault.ms)
  await network.set({})
  const readyMs = await arena.cluster.ready()
  await arena.judge()
  arena.roundDone(`n${node} ${fault.what}; whole again after ${Math.round(readyMs)} ms`)
}

function othersOf(node: number): readonly number[] {
  return Array.from({ length: nodes }, (_, index) => index + 1).filter((other) => other !== node)
}

function from(node: number): Path[] {
  return othersOf(node).map((other): Path => [node, other])
}

function towards(node: number): Path[] {
  return othersOf(node).map((other): Path => [other, node])
}

function bothWays(node: number): Path[] {
  return [...from(node), ...towards(node)]
}

function everyPath(): Path[] {
  return Array.from({ length: nodes }, (_, index) => from(index + 1)).flat()
}
