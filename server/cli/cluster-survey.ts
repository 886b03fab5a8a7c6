import { AnnealClient } from '../../client/client.ts'
import { AnnealClientError } from '../../client/client-error.ts'
import type { ClusterStatus, MemberStatus } from '../../client/types.ts'
import type { MemberAnswer } from './status-report.ts'

const memberTimeoutMs = 2000

/** Asks every member that `entry` knows, all at the same time. */
export function surveyMembers(entry: ClusterStatus): Promise<readonly MemberAnswer[]> {
  const members = entry.cluster.members.filter((member) => member.state !== 'removed')
  return Promise.all(
    members.map(async (member) => {
      if (member.id === entry.node.id) return { member, answer: entry }
      return { member, answer: await askMember(member) }
    })
  )
}

async function askMember(member: MemberStatus): Promise<MemberAnswer['answer']> {
  try {
    const client = new AnnealClient({ nodes: [member.http], timeoutMs: memberTimeoutMs })
    return await client.status()
  } catch (thrown) {
    // TypeError: what the member is said to listen on is no address.
    if (!(thrown instanceof AnnealClientError || thrown instanceof TypeError)) throw thrown
    return { failure: thrown.message }
  }
}
