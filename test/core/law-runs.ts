/**
 * How often a law is tried. A run of the suite always tries the same examples, so that it fails for everybody or for
 * nobody; `ANNEAL_LAW_RUNS=100000` tries that many new ones.
 */
export function lawRuns(runs: number): { readonly numRuns: number; readonly seed?: number } {
  const wanted = Number(process.env['ANNEAL_LAW_RUNS'] ?? 0)
  return wanted > 0 ? { numRuns: wanted } : { numRuns: runs, seed: 20261121 }
}
