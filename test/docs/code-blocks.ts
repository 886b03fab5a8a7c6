/** A fenced block of a page that somebody is meant to type, or to put into a file. */
export interface CodeBlock {
  readonly language: string
  /** Of the line after the fence, counted from 1. */
  readonly line: number
  readonly lines: readonly string[]
}

/** The fenced blocks of a Markdown page, in their order. */
export function codeBlocks(page: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  let open: { language: string; line: number; lines: string[] } | null = null
  for (const [index, line] of page.split('\n').entries()) {
    const fence = /^```(\w*)/.exec(line)
    if (fence === null) open?.lines.push(line)
    else if (open === null) open = { language: fence[1] ?? '', line: index + 2, lines: [] }
    else {
      blocks.push(open)
      open = null
    }
  }
  if (open !== null) throw new Error(`the block at line ${open.line} has no end`)
  return blocks
}

export interface Command {
  readonly line: number
  readonly text: string
}

/** What is typed: every line of a shell block, and of a session those behind the prompt. Comments and blanks aside. */
export function commandsOf({ language, line, lines }: CodeBlock): Command[] {
  const numbered = lines.map((text, index) => ({ line: line + index, text }))
  if (language === 'sh') return numbered.filter(({ text }) => !/^\s*(#.*)?$/.test(text))
  if (language !== 'console') return []
  return numbered.flatMap((command) =>
    command.text.startsWith('$ ') ? [{ ...command, text: command.text.slice(2) }] : []
  )
}
