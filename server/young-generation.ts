import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

const youngBytesMax = 32 * 1024 * 1024
const pollMs = 250

/**
 * Keeps V8's young generation at 32 MiB. Under load it would double until 128 MiB, a third of what a node needs
 * altogether, for no speed that can be measured here. Its limit can only be set on the command line of node; how fast
 * it grows can be set at any time, and a factor of 1 is not at all.
 */
export function limitYoungGeneration(): void {
  const timer = setInterval(() => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
    if (young === undefined || young.space_size < youngBytesMax) return
    setFlagsFromString('--semi-space-growth-factor=1')
    clearInterval(timer)
  }, pollMs)
  timer.unref()
}
