import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { ClusterProcess } from '../cluster/cluster-process.ts'
import { keyPath, send } from '../cluster/http-request.ts'
import { noBrowser, openBrowser, openDashboard, untilText, type WatchedPage } from './browser.ts'

// Nothing brings replicas together but what the test asks for, so that what it sees cannot go away by itself.
const set = [
  'cluster.partitions=32',
  'hints.enabled=false',
  'readRepair.mode=off',
  'repair.enabled=false'
]
const bucket = 'shop'
const nastyKey = '<img src=x onerror=alert(1)>"&\' ü'

describe('the dashboard in a browser', { skip: noBrowser }, () => {
  let cluster: ClusterProcess
  let browser: Browser
  let watched: WatchedPage

  before(async () => {
    cluster = await ClusterProcess.start({ set })
    browser = await openBrowser()
    watched = await openDashboard(browser, cluster.node(1).url)
  })
  after(async () => {
    await browser?.close()
    await cluster?.stop()
  })

  test('shows every member, who sees whom, and all partitions', async () => {
    const { page } = watched
    await untilText(page, '#members tbody tr:nth-child(2)', /n2.*ready.*up.*itself.*up/s)
    assert.equal(await page.locator('#ring path.arc').count(), 32)
    await untilText(page, '#ring-legend', /n3/)
    await page.locator('#ring').focus()
    await page.keyboard.press('ArrowRight')
    await untilText(page, '#ring-detail', /Partition 0: owner n\d/)
  })

  test('takes what users have written as text and nothing else, and shows siblings side by side', async () => {
    const { page, errors } = watched
    const path = keyPath(bucket, nastyKey)
    for (const body of ['one', 'two']) {
      assert.equal((await send(cluster.node(1).url, 'PUT', `${path}?w=3`, { body })).status, 204)
    }
    await page.fill('#inspect-bucket', bucket)
    await page.fill('#inspect-key', nastyKey)
    await page.keyboard.press('Enter')
    await untilText(page, '#inspected', /The replicas are equal/)
    assert.ok((await page.locator('#inspected').textContent())?.includes(nastyKey))
    assert.equal(await page.locator('#inspected td', { hasText: '2 siblings' }).count(), 3)
    assert.deepEqual(errors, [])
  })

  test('shows within seconds that a node was killed, what it has missed, and that a repair heals it', async () => {
    const { page } = watched
    const victim = cluster.node(3)
    await victim.end('SIGKILL')
    await untilText(page, '#members tbody tr:nth-child(3)', /n3.*down/s, 8000)
    await untilText(page, '#alarms', /Problem.*n3 is down/s)
    for (let i = 0; i < 40; i++) {
      const answer = await send(cluster.node(1).url, 'PUT', keyPath(bucket, `k${i}`), { body: 'x' })
      assert.equal(answer.status, 204)
    }
    await victim.start()
    await untilText(page, '#members tbody tr:nth-child(3)', /n3.*ready/s)

    await ask('dry')
    await untilText(page, '#runs', /done only compares .*[1-9]\d* difference/s)
    await untilText(page, '#tiles', /Replicas that differ\s*[1-9]\d* pair/)
    await page.getByRole('button', { name: 'Repair', exact: true }).click()
    await page.locator('#ring path.differs').first().waitFor()

    await ask('incremental')
    await untilText(page, '#runs', /done incremental .*[1-9]\d* rows? shipped/s)
    await untilText(page, '#tiles', /Replicas that differ\s*none known/)
    assert.equal(await page.locator('#ring path.differs').count(), 0)
    assert.equal(await page.locator('#ring path.age-0').count(), 32)
  })

  test('repairs one key', async () => {
    const { page } = watched
    const victim = cluster.node(2)
    await victim.end('SIGKILL')
    const path = keyPath(bucket, 'lonely')
    assert.equal((await send(cluster.node(1).url, 'PUT', path, { body: 'x' })).status, 204)
    await victim.start()
    await untilText(page, '#members tbody tr:nth-child(2)', /n2.*ready/s)
    await page.fill('#inspect-bucket', bucket)
    await page.fill('#inspect-key', 'lonely')
    await page.keyboard.press('Enter')
    await untilText(page, '#inspected', /The replicas differ.*lacks it/s)
    await page.click('#repair-key')
    await page.click('#confirm-go')
    await untilText(page, '#inspected', /The replicas are equal/)
    const held = await send(victim.url, 'GET', `/admin/keys/${bucket}/lonely?local=true`)
    assert.match(held.text, /"state":"ok"/)
  })

  test('pauses and resumes only what was confirmed', async () => {
    const { page } = watched
    const isPaused = async () => {
      const { text } = await send(cluster.node(1).url, 'GET', '/admin/repair')
      return /by an operator/.test(text)
    }
    await page.click('#open-pause')
    await page.click('#confirm-cancel')
    await page.locator('#confirm').waitFor({ state: 'hidden' })
    await untilText(page, '#open-pause', /Pause/)
    await page.click('#open-pause')
    await page.click('#confirm-go')
    await untilText(page, '#open-pause', /Resume/)
    assert.equal(await isPaused(), false, 'that it is disabled comes first')
    await page.click('#open-pause')
    await page.click('#confirm-go')
    await untilText(page, '#open-pause', /Pause/)
  })

  test('asked for nothing from other hosts, and nothing went wrong in it', () => {
    assert.deepEqual(watched.foreign, [])
    assert.deepEqual(watched.errors, [])
  })

  test('says that it lost its node, and is right again once it is back', async () => {
    const { page } = await openDashboard(browser, cluster.node(1).url)
    const node = cluster.node(1)
    await node.end('SIGKILL')
    await untilText(page, '#connection', /Connection lost/, 8000)
    const path = keyPath(bucket, 'meanwhile')
    assert.equal((await send(cluster.node(2).url, 'PUT', path, { body: 'x' })).status, 204)
    await node.start()
    await page.locator('#connection[data-state=live]').waitFor({ timeout: 15_000 })
    await untilText(page, '#subtitle', /up \d s/)
    await untilText(page, '#members tbody tr:nth-child(2)', /n2.*ready/s)
  })

  test('fits a phone, in the dark, and every control has a name', async () => {
    const { page, errors } = await openDashboard(browser, cluster.node(2).url, {
      viewport: { width: 360, height: 740 },
      colorScheme: 'dark',
      reducedMotion: 'reduce'
    })
    await untilText(page, '#members tbody', /n3/)
    const width = await page.evaluate('document.documentElement.scrollWidth')
    assert.equal(width, 360, 'nothing makes the page wider than the screen')
    const unnamed = await page.evaluate(
      `[...document.querySelectorAll('button, input, a, main section')].filter((e) => {
        const label = e.getAttribute('aria-label') ?? e.getAttribute('aria-labelledby') ?? e.textContent.trim()
        return label === '' && e.labels?.length !== 1
      }).map((e) => e.outerHTML)`
    )
    assert.deepEqual(unnamed, [])
    assert.deepEqual(errors, [])
  })

  async function ask(mode: string): Promise<void> {
    const { page } = watched
    await page.click('#open-repair')
    await page.check(`#confirm input[value=${mode}]`)
    await page.click('#confirm-go')
    await page.locator('#confirm').waitFor({ state: 'hidden' })
  }
})
