import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

const youngBytesMax = 32 * 1024 * 1024
const pollMs = 250

/**
 * Keeps V8's young generation at 32 MiB. Under load it would double until 128 MiB, a third of what a node needs
 * altogether, for no speed that can be measured here. Its limit can only be set on the command line of node; how fast
 * it grows can be set at any time, and a factor of 1 is not at all. V8 shrinks it where nothing happens, to 2 MiB, in
 * which requests under way are copied to the old generation and stay there as garbage: then it may grow again.
 */
export function limitYoungGeneration(): void {
  let isGrowing = true
  const timer = setInterval(() => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
    const mayGrow = young === undefined || young.space_size < youngBytesMax
    if (mayGrow === isGrowing) return
    isGrowing = mayGrow
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`)
  }, pollMs)
  timer.unref()
}
