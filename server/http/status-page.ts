import type { ReadinessCheck } from '../node.ts'
import type { describeStatus } from './admin-routes.ts'

const style = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% }
  th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid #8884 }
  .up { color: #1a7f37 } .down { color: #cf222e; font-weight: 600 }
  @media (prefers-color-scheme: dark) { .up { color: #3fb950 } .down { color: #f85149 } }
  .wide { overflow-x: auto }
`

/** The node and its cluster on one page, without scripts. It is made anew at each request. */
export function statusPage(
  { node, cluster }: ReturnType<typeof describeStatus>,
  checks: readonly ReadinessCheck[]
): string {
  const members = cluster.members.map(
    ({ id, state, up, http, peer, zone }) =>
      `<tr><td>${escapeHtml(id)}</td><td>${mark(up, 'up', 'down')}</td><td>${escapeHtml(state)}</td>` +
      `<td>${escapeHtml(http)}</td><td>${escapeHtml(peer)}</td><td>${escapeHtml(zone)}</td></tr>`
  )
  const rows = checks.map(
    ({ name, ok, detail }) =>
      `<tr><td>${escapeHtml(name)}</td><td>${mark(ok, 'ok', 'not ok')}</td><td>${escapeHtml(detail)}</td></tr>`
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(node.id)} · Anneal</title>
<style>${style}</style>
</head>
<body>
<h1>${escapeHtml(node.id)} <small>of ${escapeHtml(cluster.name)}</small></h1>
<p>Anneal ${escapeHtml(node.version)}, ${escapeHtml(node.state)}, up for ${node.uptimeSeconds} s. Ring ${escapeHtml(cluster.epoch)} of ${cluster.partitions} partitions.</p>
<h2>Members, as this node sees them</h2>
<div class="wide"><table>
<thead><tr><th>Node</th><th>Seen</th><th>State</th><th>HTTP</th><th>Peers</th><th>Zone</th></tr></thead>
<tbody>${members.join('')}</tbody>
</table></div>
<h2>Ready?</h2>
<div class="wide"><table><tbody>${rows.join('')}</tbody></table></div>
<p>More: <a href="/admin/status">status</a>, <a href="/admin/ring">ring</a>, <a href="/metrics">metrics</a>, <a href="/openapi.json">API</a>.</p>
</body>
</html>
`
}

function mark(good: boolean, yes: string, no: string): string {
  return `<span class="${good ? 'up' : 'down'}">${good ? yes : no}</span>`
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
