import { findPrerequisites } from './prerequisites.ts'
import { tryOut } from './try-out.ts'

/**
 * `npm run test:deploy`: builds the image and runs the cluster of docker-compose.yml for real, once with every Compose
 * that is installed. Not part of `npm test`, because it needs a Docker engine and the base image.
 */
const couldNotTryCode = 2

const { compose, missing } = await findPrerequisites()
if (missing.length > 0) {
  console.error('NOTHING WAS TRIED. This needs, and does not find:')
  for (const need of missing) console.error(`  - ${need}`)
  process.exitCode = couldNotTryCode
} else {
  for (const { command, version } of compose) tryOut(command, version)
}
