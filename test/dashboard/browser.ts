import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

const executablePath = '/usr/bin/chromium'

/** Why the tests cannot run in a browser here; false where they can. */
export const noBrowser = existsSync(executablePath)
  ? false
  : `NOT TESTED: the dashboard. There is no ${executablePath}: apt-get install chromium`

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

/** A page that notes what it must not do. */
export interface WatchedPage {
  readonly page: Page
  /** Errors of scripts and on the console, but for those of a node that was taken away on purpose. */
  readonly errors: string[]
  /** Requests to other hosts than the one that the page is from. */
  readonly foreign: string[]
}

export async function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath, args: flags, headless: true })
}

/** Opens the dashboard of a node and waits until it is live. */
export async function openDashboard(
  browser: Browser,
  url: string,
  options: Parameters<Browser['newContext']>[0] = {}
): Promise<WatchedPage> {
  const context: BrowserContext = await browser.newContext(options)
  const page = await context.newPage()
  const errors: string[] = []
  const foreign: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) foreign.push(request.url())
  })
  await page.goto(url)
  await page.locator('#connection[data-state=live]').waitFor({ timeout: 15_000 })
  return { page, errors, foreign }
}

/** Resolves once the element has a text that matches. */
export async function untilText(
  page: Page,
  selector: string,
  pattern: RegExp,
  timeout = 20_000
): Promise<void> {
  const found = page.locator(selector).filter({ hasText: pattern }).first()
  await found.waitFor({ timeout }).catch(async () => {
    const shown = await page.locator(selector).first().textContent()
    assert.fail(`${selector} never showed ${pattern}, but ${JSON.stringify(shown?.slice(0, 400))}`)
  })
}
