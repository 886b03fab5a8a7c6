import { availableParallelism, cpus, release } from 'node:os'

/** What the figures depend on besides the options. */
export function machine(): object {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    system: `${process.platform} ${release()}`,
    node: process.version
  }
}
