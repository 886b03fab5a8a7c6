import type { Arena } from './arena.ts'
import { BulkKeys } from './bulk-keys.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { addressesIn, launcherIn, Network, type NetworkRules } from './network.ts'
import { type ExchangeSeen, exchangesOf } from './node-admin.ts'
import type { Scenario } from './scenario.ts'

/** Two nodes that ship rows to each other at the moment. */
interface Pair {
  readonly began: LaunchedProcess
  readonly answers: LaunchedProcess
}

interface Interruption {
  readonly what: string
  readonly make: (arena: Arena, network: Network, pair: Pair) => Promise<void>
}

const nodes = 3
const keys = 400
const largeShare = 0.2
/** An exchange over what one node has missed takes some seconds, so that it can be met in the middle. */
const bytesPerSecond = 96 * 1024
const metSeconds = 60
const shortMs = 2000
const longMs = 15_000

const interruptions: readonly Interruption[] = [
  { what: 'kill -9 of the node that began', make: (_, __, pair) => killed(pair.began) },
  { what: 'kill -9 of the node that answers', make: (_, __, pair) => killed(pair.answers) },
  {
    what: 'kill -9 of both',
    make: async (_, __, { began, answers }) => {
      await Promise.all([killed(began), killed(answers)])
    }
  },
  { what: 'link cut for 2 s', make: (arena, network, pair) => cut(arena, network, pair, shortMs) },
  { what: 'link cut for 15 s', make: (arena, network, pair) => cut(arena, network, pair, longMs) },
  {
    what: 'answers lost for 15 s',
    make: async (arena, network, { began, answers }) => {
      await passUnder(arena, network, { cut: [[numberOf(answers), numberOf(began)]] }, longMs)
    }
  },
  {
    what: 'the node that answers frozen for 15 s',
    make: async (arena, _, { answers }) => {
      answers.signal('SIGSTOP')
      await arena.pass(longMs)
      answers.signal('SIGCONT')
    }
  }
]

/** Whatever ends an exchange in the middle, the next ones bring both sides together, and no exchange hangs. */
export const exchangeScenario: Scenario = {
  name: 'exchange',
  what: 'kill -9 of either side, cuts and freezes in the middle of an exchange',
  rounds: interruptions.length,
  quickRounds: 4,
  needs: ['namespaces', 'tun', 'python3'],
  async run(arena) {
    const network = await Network.create(nodes)
    arena.undo(() => network.remove(nodes))
    const cluster = await arena.plan({
      nodes,
      set: [
        'cluster.secret=of the fault suite',
        'readRepair.mode=off',
        'hints.enabled=false',
        `repair.maxBytesPerSecond=${bytesPerSecond}`
      ],
      launcherOf: launcherIn,
      addressesOf: addressesIn
    })
    await arena.begin()
    const bulk = new BulkKeys(arena.oracle, 'exchanged', keys)
    while (arena.roundsDone < arena.rounds) {
      const interruption = interruptions[arena.roundsDone % interruptions.length]
      if (interruption === undefined) throw new RangeError('there is one for each round')
      const victim = arena.random.pick(cluster.nodes)
      await victim.end('SIGTERM')
      await bulk.write(
        cluster.nodes.filter((node) => node !== victim),
        largeShare
      )
      victim.spawn()
      const { pair, exchange } = await metInTheMiddle(cluster.nodes)
      await interruption.make(arena, network, pair)
      await arena.judge()
      await expectNoneHangs(arena)
      arena.roundDone(
        `${interruption.what}, ${pair.began.id} with ${pair.answers.id} after ${shippedIn(exchange)} rows`
      )
    }
  }
}

async function metInTheMiddle(
  all: readonly LaunchedProcess[]
): Promise<{ pair: Pair; exchange: ExchangeSeen }> {
  const untilMs = performance.now() + metSeconds * 1000
  while (performance.now() < untilMs) {
    for (const began of all) {
      const exchanges = await exchangesOf(began).catch(() => [])
      const exchange = exchanges.find((one) => shippedIn(one) > 0 && one.rowsToShip > 0)
      const answers = all.find(({ id }) => id === exchange?.peer)
      if (exchange !== undefined && answers !== undefined) {
        return { pair: { began, answers }, exchange }
      }
    }
  }
  throw new Error(`no exchange was met in the middle within ${metSeconds} s`)
}

function shippedIn({ rowsSent, rowsReceived }: ExchangeSeen): number {
  return rowsSent + rowsReceived
}

/** After the replicas are equal an exchange takes a moment; what is older was in progress when it was interrupted. */
async function expectNoneHangs(arena: Arena): Promise<void> {
  const startedBefore = Date.now() - longMs
  for (const node of arena.cluster.nodes) {
    for (const { peer, startedAt } of await exchangesOf(node)) {
      const hangs = Date.parse(startedAt) < startedBefore
      arena.expect(!hangs, `the exchange of ${node.id} with ${peer} hangs since ${startedAt}`)
    }
  }
}

async function killed(node: LaunchedProcess): Promise<void> {
  await node.end('SIGKILL')
}

async function cut(arena: Arena, network: Network, pair: Pair, ms: number): Promise<void> {
  const [a, b] = [numberOf(pair.began), numberOf(pair.answers)]
  const paths = [
    [a, b],
    [b, a]
  ] as const
  await passUnder(arena, network, { cut: paths }, ms)
}

async function passUnder(
  arena: Arena,
  network: Network,
  rules: NetworkRules,
  ms: number
): Promise<void> {
  await network.set(rules)
  await arena.pass(ms)
  await network.set({})
}

function numberOf({ id }: LaunchedProcess): number {
  return Number(id.slice(1))
}
