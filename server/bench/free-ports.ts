import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Ports of 127.0.0.1 that nobody listened on a moment ago. They are held all at once, so that they differ, and released
 * before they are returned; another program could take one in between, which its user then finds in use.
 */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => {
    const bound = server.address()
    if (bound === null || typeof bound === 'string') throw new TypeError('a TCP server has a port')
    return bound.port
  })
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
