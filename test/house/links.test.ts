import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const topPages = readdirSync(root).filter((name) => name.endsWith('.md'))
const docsPages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name))

interface Link {
  readonly target: string
  readonly anchor: string
}

/** The links of a page to files of this repository, relative to its root, with the heading they point at. */
function localLinks(page: string): Link[] {
  const text = readFileSync(join(root, page), 'utf8').replaceAll(/```.*?```/gs, '')
  const links: Link[] = []
  for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue
    const [path = '', anchor = ''] = link.split('#')
    const target = path === '' ? page : relative(root, resolve(root, dirname(page), path))
    links.push({ target, anchor })
  }
  return links
}

/** The names that headings get when a page is rendered: lower case, hyphens for spaces, punctuation left out. */
function anchors(page: string): Set<string> {
  const text = readFileSync(join(root, page), 'utf8').replaceAll(/```.*?```/gs, '')
  const slug = (heading: string): string =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-')
  return new Set([...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => slug(heading)))
}

test('every link between pages leads to a file, and to a heading where it names one', () => {
  const broken: string[] = []
  for (const page of [...topPages, ...docsPages]) {
    for (const { target, anchor } of localLinks(page)) {
      if (!existsSync(join(root, target))) broken.push(`${page}: no file ${target}`)
      else if (anchor !== '' && !anchors(target).has(anchor)) {
        broken.push(`${page}: no heading ${anchor} in ${target}`)
      }
    }
  }
  assert.deepEqual(broken, [])
})

test('every page can be reached from README.md', () => {
  const reached = new Set(['README.md'])
  for (const page of reached) {
    for (const { target } of localLinks(page)) {
      if (target.endsWith('.md') && existsSync(join(root, target))) reached.add(target)
    }
  }
  assert.deepEqual(
    [...topPages, ...docsPages].filter((page) => !reached.has(page)),
    []
  )
})

test('there are pages to look at', () => {
  assert.ok(docsPages.length > 5)
  assert.ok(docsPages.every((page) => statSync(join(root, page)).size > 0))
})
