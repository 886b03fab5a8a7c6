import type { ServerProcess } from '../cluster/server-process.ts'
import { bucket } from './oracle.ts'

const linesShown = 6
const telling = /damage|quarantin|incarnation|behind|refus/i

/** What every node holds of a key, and has set aside of it, and said about its disk lately, for people. */
export async function evidenceOf(nodes: readonly ServerProcess[], key: string): Promise<string> {
  const path = `/admin/keys/${bucket}/${encodeURIComponent(key)}?local=true`
  const lines: string[] = [`${key}, as each node has it now:`]
  for (const node of nodes) {
    lines.push(`      ${node.id} ${await textOf(node, path)}`)
    const quarantined = await textOf(node, '/admin/quarantine')
    if (quarantined.includes(JSON.stringify(key))) lines.push(`      set aside: ${quarantined}`)
    const said = node.log.filter(({ msg }) => telling.test(msg)).slice(-linesShown)
    for (const line of said) lines.push(`      ${JSON.stringify(line)}`)
  }
  return lines.join('\n')
}

async function textOf(node: ServerProcess, path: string): Promise<string> {
  try {
    return await (await fetch(`${node.url}${path}`)).text()
  } catch (error) {
    return String(error)
  }
}
