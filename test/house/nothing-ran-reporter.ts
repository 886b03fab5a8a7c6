import type { TestEvent } from 'node:test/reporters'

/**
 * A second reporter of `npm test`, silent unless nothing ran: the runner calls a run without any test a success, and
 * so a mistyped pattern or a moved folder would look like good news. Node.js takes a reporter as a default export.
 */
export default async function* reportNothingRan(
  source: AsyncIterable<TestEvent>
): AsyncGenerator<string> {
  for await (const event of source) {
    // The summary of the whole run is the one that names no file.
    if (event.type !== 'test:summary' || event.data.file !== undefined) continue
    const { tests, skipped, todo } = event.data.counts
    if (tests > skipped + todo) continue
    process.exitCode = 1
    yield '\nNo test ran, so nothing was checked: look at the file patterns of the test script.\n'
  }
}
