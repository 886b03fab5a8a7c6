import { extname } from 'node:path'

/**
 * A program in the same folder as the module with this `import.meta.url`, by its name without the extension: sources and
 * compiled files lie side by side in the same way, only their extension differs.
 */
export function programBeside(moduleUrl: string, name: string): URL {
  return new URL(`./${name}${extname(moduleUrl)}`, moduleUrl)
}
