#!/usr/bin/env node
// Whatever Node is installed reads this file, so it keeps to a syntax that old ones parse: everything newer waits
// behind the version check.

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `anneal: Node.js 22.18 or later is needed, this is ${process.version}; ` +
      'after `npm ci`, `npx anneal` and `npm start` use the Node.js that the project pins\n'
  )
  process.exit(1)
}

// Node does not strip types below node_modules: an installed package runs what was compiled for it.
const isInstalled = import.meta.url.includes('/node_modules/')
const program = isInstalled ? '../dist/server/cli/main.js' : '../server/cli/main.ts'

import(program).then(
  (cli) => cli.main(process.argv.slice(2)),
  (error) => {
    const isIncomplete = error.code === 'ERR_MODULE_NOT_FOUND' && !isInstalled
    const advice = isIncomplete
      ? '\nanneal: if the dependencies are not installed, run `npm ci`'
      : ''
    process.stderr.write(`anneal: the program cannot be loaded: ${error.stack}${advice}\n`)
    process.exitCode = 1
  }
)
