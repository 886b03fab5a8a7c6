import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

const youngBytesMax = 32 * 1024 * 1024
const pollMs = 250
const oldGrowthPercent = 30

/**
 * Keeps V8 to what a node needs. Its limits are made for programs that may have the machine to themselves.
 *
 * The young generation becomes 32 MiB and no more. Under load it would double until 128 MiB, for no speed that can be
 * measured here. Its limit can only be set on the command line of node; how much it grows when it does can be set at
 * any time, and a factor of 1 is not at all. V8 shrinks it to 2 MiB where nothing happens, in which requests under way
 * are copied to the old generation and stay there as garbage: the factor that follows makes it 32 MiB at one go.
 *
 * One thread collects the young generation. There is so little left to copy that waking others takes longer than copying
 * it does, and they take the processor from the other nodes of the machine.
 *
 * Nothing is made in the old generation at once. V8 does that with the objects of a place in the program of which most
 * have outlived a collection, say because many writes were under way just then, and never takes it back. They die as young
 * as before, and until the old generation is collected they hold on to all that they point to: one process in several
 * spent a tenth more of the processors from then on.
 *
 * The old generation is collected when it has grown by 30 % since the last time. Its garbage is small, but holds
 * buffers that are not, and pages of the allocator once taken are seldom given back.
 */
export function limitHeap(): void {
  setFlagsFromString('--no-parallel-scavenge')
  setFlagsFromString('--no-allocation-site-pretenuring')
  setFlagsFromString(`--heap-growing-percent=${oldGrowthPercent}`)
  let factor = 2
  const timer = setInterval(() => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
    if (young === undefined) return
    const wanted = Math.max(1, Math.floor(youngBytesMax / young.space_size))
    if (wanted === factor) return
    factor = wanted
    setFlagsFromString(`--semi-space-growth-factor=${factor}`)
  }, pollMs)
  timer.unref()
}
