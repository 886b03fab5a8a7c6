/** Commands of the documents that the run leaves out, and why: everything else is run as it stands there. */
export interface NotRun {
  readonly page: string
  /** What the command begins with. */
  readonly command: string
  readonly why: string
}

const started = 'the run has started a cluster already'
const container = 'needs a container engine; `npm run test:deploy` does it'
const kubernetes = 'needs a Kubernetes cluster'
const long = 'takes minutes'
const service = 'needs root and a node that systemd runs'

export const notRun: readonly NotRun[] = [
  { page: 'README.md', command: 'npm ci && npm start', why: started },
  { page: 'README.md', command: 'npm ci && npm test', why: long },
  { page: 'docs/tutorial/first-cluster.md', command: 'npm ci', why: started },
  { page: 'docs/tutorial/first-cluster.md', command: 'npm start', why: started },
  { page: 'docs/how-to/benchmark.md', command: 'npm start', why: started },
  { page: 'docs/how-to/benchmark.md', command: 'npx anneal bench load', why: long },
  { page: 'docs/how-to/benchmark.md', command: 'npx anneal bench repair', why: long },
  { page: 'docs/how-to/benchmark.md', command: 'npx anneal bench hints', why: long },
  { page: 'docs/how-to/benchmark.md', command: 'ANNEAL_', why: long },
  { page: 'docs/how-to/benchmark.md', command: 'wrk', why: 'needs wrk' },
  { page: 'docs/how-to/operate.md', command: 'npm pack', why: 'builds and packs the project' },
  { page: 'docs/how-to/operate.md', command: 'anneal --version', why: 'needs the package' },
  { page: 'docs/how-to/operate.md', command: 'sudo', why: service },
  { page: 'docs/how-to/operate.md', command: 'journalctl', why: service },
  { page: 'docs/how-to/run-on-kubernetes.md', command: 'docker', why: container },
  { page: 'docs/how-to/run-on-kubernetes.md', command: 'cp -r', why: kubernetes },
  { page: 'docs/how-to/run-on-kubernetes.md', command: 'kubectl', why: kubernetes },
  { page: 'docs/how-to/run-with-compose.md', command: 'chmod', why: container },
  { page: 'docs/how-to/run-with-compose.md', command: 'docker', why: container },
  { page: 'docs/how-to/run-with-compose.md', command: 'curl', why: container }
]

/** Commands that are meant to fail, with what they end with. */
export const failing: readonly { page: string; command: string; nth: number; exitCode: number }[] =
  [
    // A node is down, and its own hints cannot be asked for.
    { page: 'README.md', command: 'npx anneal hints', nth: 1, exitCode: 3 },
    // A node is down, and status says so.
    { page: 'docs/tutorial/first-cluster.md', command: 'npx anneal status', nth: 2, exitCode: 3 },
    // Two of three replicas are down, and the third answers alone only where that was asked for.
    {
      page: 'docs/tutorial/first-cluster.md',
      command: 'npx anneal get books dune',
      nth: 2,
      exitCode: 3
    }
  ]
