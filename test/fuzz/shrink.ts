/**
 * Makes a failing input smaller as long as it still fails: stretches are left out, half of the input first, single
 * bytes last.
 */
export function shrink(input: Buffer, fails: (candidate: Buffer) => boolean): Buffer {
  let smallest = input
  let tries = 0
  for (let width = input.length >> 1; width >= 1; width >>= 1) {
    for (let at = 0; at < smallest.length && tries < triesMax; tries++) {
      const candidate = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + width)])
      if (fails(candidate)) smallest = candidate
      else at += width
    }
  }
  return smallest
}

const triesMax = 5000
