export interface Part {
  readonly headers: Headers
  readonly body: Buffer
}

export interface Multipart {
  /** What stands before the parts, for people. */
  readonly preamble: string
  readonly parts: readonly Part[]
}

/** A multipart body (RFC 2046). Errors: throws where it is not well-formed. */
export function parseMultipart(contentType: string, body: Buffer): Multipart {
  const boundary = /^multipart\/mixed; *boundary="?([^";]{1,70})"?$/.exec(contentType)?.[1]
  if (boundary === undefined) throw new Error(`no multipart type: ${contentType}`)
  const text = body.toString('latin1')
  const [preamble = '', ...sections] = `\r\n${text}`.split(`\r\n--${boundary}`)
  const epilogue = sections.pop()
  if (!epilogue?.startsWith('--')) throw new Error('not closed as it was opened')
  const parts = sections.map((section) => {
    const end = section.indexOf('\r\n\r\n')
    if (!section.startsWith('\r\n') || end < 0) throw new Error(`no part: ${section.slice(0, 80)}`)
    const headers = new Headers()
    for (const line of section.slice(2, end).split('\r\n')) {
      const colon = line.indexOf(':')
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim())
    }
    return { headers, body: Buffer.from(section.slice(end + 4), 'latin1') }
  })
  return { preamble: preamble.trim(), parts }
}
