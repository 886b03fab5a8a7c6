import { startCluster } from '../../server/bench/cluster.ts'

/** Starts the program given as a cluster, prints its URLs, and exits without stopping it when its input ends. */
const [program = '', directory = ''] = process.argv.slice(2)
const { signal } = new AbortController()
const cluster = await startCluster({ program, nodes: 3, durability: 'os', directory, signal })
process.stdout.write(`${JSON.stringify(cluster.urls)}\n`)
process.stdin.on('end', () => process.exit(0)).resume()
