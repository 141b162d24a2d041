// Slow lane: the page of a gateway in a real Chromium, over a real network with model servers.
// With MODEL_SERVERS, the folder that .ci/gateway-page prepares, one of them is a real model. SCREENSHOTS names a folder for pictures.
// Exit 0 when everything holds, or with a line SKIPPED when Chromium cannot be had here; 1 otherwise.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ModuleManifest, moduleManifestDigest, moduleVersionId } from '@lilypad-agents/protocol'
import { serverManifest, serverProgram } from '../../../provider/fixtures/server-manifest.ts'
import { startTestGateway } from '../../../servers/gateway/test/test-gateway.ts'
import { launchBrowser } from './launch-browser.mjs'

const { MODEL_SERVERS, SCREENSHOTS } = process.env
const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'lilypad-gateway-page-'))
/** Milliseconds for a reply and its receipt on a busy machine. */
const patience = 150_000
const results = []
const check = (what, holds, seen = '') => {
  results.push(Boolean(holds))
  console.log(`${holds ? 'ok' : 'FAILED'}  ${what}${holds || seen === '' ? '' : `: ${String(seen).slice(0, 600)}`}`)
}

/** A repeater and vectors without a model, and a real one where it was prepared. */
function createModels() {
  const server = { idleSeconds: 600, maxOutputUnits: 256, concurrency: 8 }
  const vectors = { protocol: 'openai-embeddings', path: '/v1/embeddings', maxOutputUnits: 0 }
  const models = [
    { ...serverManifest({ server }), program: serverProgram },
    { ...serverManifest({ name: 'vectors', server: { ...server, ...vectors } }), program: serverProgram },
  ]
  if (!MODEL_SERVERS) return models
  const home = join(MODEL_SERVERS, 'chat')
  const source = JSON.parse(
    readFileSync(new URL('../../../examples/modules/chat/module.json', import.meta.url), 'utf8'),
  )
  source.runtime.image.digest = `sha256:${'0'.repeat(64)}`
  const weights = process.env.MODEL_FILE ?? join(home, 'tiny.gguf')
  source.runtime.env = { ...source.runtime.env, MODEL_PATH: weights }
  const manifest = ModuleManifest.parse(source)
  const moduleVersion = moduleVersionId(manifest.name, moduleManifestDigest(manifest))
  return [{ manifest, moduleVersion, program: join(home, 'server.mjs') }, ...models]
}

async function main() {
  const browser = await launchBrowser(folder)
  if (!browser) return true
  const gateway = await startTestGateway({
    models: createModels(),
    config: { explorerUrl: 'https://explorer.example' },
    rules: { keepAliveSeconds: 1 },
  })
  try {
    await runPage(browser, gateway)
    await runStates(browser, gateway)
    await runForgery(browser, gateway)
    await runKeyboard(browser, gateway)
    await runLooks(browser, gateway)
    return results.every(Boolean)
  } finally {
    await browser.close()
    await gateway.close()
  }
}

/** A tab that notes what goes wrong in it and what it asks for. */
async function openTab(browser, gateway, { theme = 'light', width = 1280, height = 900, hash = '' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: 'reduce' })
  const page = await context.newPage()
  const problems = []
  const hosts = new Set()
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => {
    // A refused request is told to the console by the browser itself.
    if (message.type() === 'error' && !/^Failed to load resource/.test(message.text())) problems.push(message.text())
  })
  page.on('request', (request) => {
    if (/^https?:/.test(request.url())) hosts.add(new URL(request.url()).origin)
  })
  await page.goto(`${gateway.url}/${hash}`)
  await page.locator('h1').waitFor({ timeout: 30_000 })
  return { page, problems, hosts, close: () => context.close() }
}

const verified = (page) => page.getByText('Verified in this browser')
const refused = (page) => page.getByText('Refused by this browser')
const message = (page) => page.getByLabel('Your message')

async function enterKey(page, key) {
  await page.getByLabel('API key').fill(key)
  await page.getByRole('button', { name: 'Use key' }).click()
}

async function say(page, text, model = 'parrot') {
  await page.getByLabel('Model', { exact: true }).selectOption(model)
  await message(page).fill(text)
  await message(page).press('Enter')
}

/** From the first look to a reply whose receipt was checked. */
async function runPage(browser, gateway) {
  const { key } = await gateway.openAccount()
  const { page, problems, hosts, close } = await openTab(browser, gateway)
  const document = await page.request.get(gateway.url)
  const policy = document.headers()['content-security-policy'] ?? ''
  check(
    'the policy allows nothing inline and nobody else',
    /default-src 'none'/.test(policy) && !policy.includes('unsafe'),
  )

  await page.getByRole('row', { name: /parrot/ }).waitFor({ timeout: 20_000 })
  await page.getByLabel('Search models').fill('embeddings')
  check('models are found by what they can do', (await page.getByRole('row').count()) === 2)
  await page.getByRole('tab', { name: 'All modules' }).click()
  await page.getByText('vectors@1.0.0').waitFor({ timeout: 10_000 })
  check('modules are listed', (await page.getByText('parrot@1.0.0').count()) === 1)

  await page.goto(`${gateway.url}/#/playground?model=parrot`)
  await page.getByText('Enter an API key first.').waitFor({ timeout: 10_000 })
  check('without a key the page says what is missing', true)
  await enterKey(page, key)
  await say(page, '# Frogs\n\n- one\n- **two** <img src=x onerror=alert(1)>')
  await verified(page).waitFor({ timeout: patience })
  check('a reply is verified in the browser', (await refused(page).count()) === 0)
  check('Markdown is shown, markup of a model is not', (await page.locator('article li strong').count()) === 1)
  check('no picture comes out of a reply', (await page.locator('article img').count()) === 0)
  await verified(page).click()
  const held = await page.getByLabel('holds', { exact: true }).count()
  check('each check is told with a sentence', held > 30, held)
  await page.getByText('The text on this page is the text that the provider signed.').waitFor()
  const link = page.getByRole('link', { name: 'Open in explorer' })
  await link.waitFor({ timeout: patience })
  const address = await link.getAttribute('href')
  check(
    'the transaction that paid it is linked',
    /^https:\/\/explorer\.example\/tx\/0x[0-9a-f]{64}$/.test(address),
    address,
  )
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'receipt.json' }).click(),
  ])
  const saved = JSON.parse(readFileSync(await download.path(), 'utf8'))
  check('the receipt can be saved', saved.schema === 'lilypad/bundle@1')

  if (MODEL_SERVERS) {
    await page.getByRole('button', { name: 'New' }).click()
    await page.evaluate(() => {
      globalThis.lengths = new Set()
      const note = () => globalThis.lengths.add(document.querySelector('article')?.textContent.length)
      new MutationObserver(note).observe(document.body, { childList: true, subtree: true, characterData: true })
    })
    await say(page, 'Tell me about frogs.', 'chat')
    await verified(page).waitFor({ timeout: patience })
    const lengths = await page.evaluate(() => globalThis.lengths.size)
    check('a real model streams, and is verified', lengths >= 4, lengths)
  } else console.log('     without a real model: MODEL_SERVERS names no folder')

  await page.getByRole('tab', { name: 'Embeddings' }).click()
  await page.getByRole('button', { name: 'Embed 3 texts' }).click()
  await verified(page).waitFor({ timeout: patience })
  check('vectors are verified in the browser', (await page.locator('table td').count()) === 10)

  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]))
  check('the key is in no storage', !kept.includes(key) && !kept.includes('lp-'), kept)
  await page.getByRole('link', { name: 'Account', exact: true }).click()
  await page.getByRole('button', { name: 'Check receipt' }).first().click()
  await verified(page).waitFor({ timeout: 30_000 })
  check('an older receipt is checked from the account', true)
  await page.reload()
  await page.getByLabel('API key').waitFor({ timeout: 10_000 })
  check('a reload forgets the key', true)
  await page.getByRole('switch').click()
  await enterKey(page, key)
  await page.getByText('until this tab closes').waitFor()
  await page.reload()
  await page.getByText('until this tab closes').waitFor({ timeout: 10_000 })
  check('a key that is to be kept outlives a reload', true)
  check('nothing was asked of any other host', hosts.size === 1, [...hosts].join())
  check('the page had no errors', problems.length === 0, problems.join('\n'))
  await close()
}

/** What the page says when something is refused, breaks or is stopped. */
async function runStates(browser, gateway) {
  const { page, problems, close } = await openTab(browser, gateway, { hash: '#/playground' })
  const told = async (words) => {
    await page.getByRole('alert').filter({ hasText: words }).first().waitFor({ timeout: 30_000 })
    check(`the page says: ${words}`, true)
  }
  const change = async (key) => {
    const forget = page.getByRole('button', { name: 'Forget key' })
    if (await forget.count()) await forget.click()
    await enterKey(page, key)
  }
  await change('lp-wrong')
  await say(page, 'Hi')
  await told('This key is not accepted')
  await change((await gateway.openAccount({ credit: 0n })).key)
  await say(page, 'Hi')
  await told('There is not enough credit')
  const limited = (await gateway.openAccount({ requestsPerMinute: 1 })).key
  await change(limited)
  await page.waitForTimeout(500)
  await say(page, 'Hi')
  await told('Too many requests')
  await change((await gateway.openAccount()).key)
  await page.getByLabel('Most it may cost').fill('0.000000000000000001')
  await say(page, 'Hi')
  await told('This costs more than you allow')
  await page.getByLabel('Most it may cost').fill('')
  await say(page, '!failed-midway')
  await told('The reply broke off')
  await say(page, '!wait 5000')
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByText('Stopped. What the provider had already made is charged.').waitFor({ timeout: 10_000 })
  check('a reply can be stopped', (await page.getByRole('button', { name: 'Send' }).count()) === 1)
  await page.getByLabel('Most tokens').fill('none')
  await page.getByText('Something in the settings is not valid.').waitFor({ timeout: 5000 })
  check('settings that are not valid are told', true)
  await page.route('**/v1/models', (route) => route.fulfill({ json: { object: 'list', data: [] } }))
  await page.reload()
  await page.getByText('npm start -- --module chat').waitFor({ timeout: 10_000 })
  check('without models the page says how to offer one', true)
  await page.route('**/ready', (route) => route.abort())
  await page.reload()
  await page.getByText('Gateway unreachable').waitFor({ timeout: 10_000 })
  check('a gateway that is gone is told', true)
  check('refusals are no errors of the page', problems.length === 0, problems.join('\n'))
  await close()
}

/** A receipt or a reply that was changed on its way. */
async function runForgery(browser, gateway) {
  const { key } = await gateway.openAccount()
  const { page, problems, close } = await openTab(browser, gateway, { hash: '#/playground' })
  await enterKey(page, key)
  await page.route('**/receipt', async (route) => {
    const response = await route.fetch()
    const bundle = await response.json()
    bundle.delivery.receipt.price = String(BigInt(bundle.delivery.receipt.price) + 1n)
    await route.fulfill({ response, json: bundle })
  })
  await say(page, 'An honest question')
  await refused(page).waitFor({ timeout: patience })
  await page.getByText('What does not hold').waitFor()
  const failed = await page.getByText('The provider signed the receipt.').first().isVisible()
  check('a receipt that was changed is refused, and the page says why', failed && (await verified(page).count()) === 0)
  await shot(page, 'refused')
  await page.unroute('**/receipt')
  await page.getByRole('button', { name: 'New' }).click()
  await page.route('**/v1/chat/completions', async (route) => {
    const response = await route.fetch()
    const text = (await response.text()).replaceAll('frogs', 'toads')
    await route.fulfill({ response, body: text })
  })
  await say(page, 'All about frogs')
  await refused(page).waitFor({ timeout: patience })
  const reason = await page.getByText('The text on this page is the text that the provider signed.').first().isVisible()
  check('a text that was changed is refused', reason)
  check('a forgery is no error of the page', problems.length === 0, problems.join('\n'))
  await close()
}

/** Everything without a mouse. */
async function runKeyboard(browser, gateway) {
  const { key } = await gateway.openAccount()
  const { page, close } = await openTab(browser, gateway)
  const tabTo = async (name) => {
    for (let presses = 0; presses < 60; presses += 1) {
      await page.keyboard.press('Tab')
      const focused = await page.evaluate(() => {
        const { activeElement: at } = document
        const label = at?.labels?.[0]?.textContent
        return (at?.getAttribute('aria-label') ?? label ?? at?.textContent ?? '').trim()
      })
      if (focused === name) return true
    }
    return false
  }
  const steps = [
    ['Playground', 'Enter'],
    ['API key', key],
    ['', 'Enter'],
    ['Your message', 'A question by keys'],
    ['', 'Enter'],
  ]
  let isThere = true
  for (const [name, keys] of steps) {
    if (name !== '') isThere &&= await tabTo(name)
    if (keys === 'Enter') await page.keyboard.press('Enter')
    else await page.keyboard.type(keys)
    await page.waitForTimeout(300)
  }
  await verified(page).waitFor({ timeout: patience })
  await page.keyboard.press('Shift+Tab')
  const summary = page.getByRole('button', { name: /Verified in this browser/ })
  for (let presses = 0; presses < 20; presses += 1) {
    if (await summary.evaluate((element) => element === document.activeElement)) break
    await page.keyboard.press('Shift+Tab')
  }
  await page.keyboard.press('Enter')
  await page.getByText('Who agreed to it').waitFor({ timeout: 5000 })
  check('from the first page to an open receipt by keys alone', isThere)
  await close()
}

/** Both themes, wide and narrow: no serious finding of axe, nothing that hangs over the side. */
async function runLooks(browser, gateway) {
  const { key } = await gateway.openAccount()
  for (const [theme, width] of [
    ['light', 1280],
    ['dark', 1280],
    ['light', 375],
    ['dark', 375],
  ]) {
    const { page, problems, close } = await openTab(browser, gateway, { theme, width, height: width < 500 ? 812 : 900 })
    await page.getByRole('row', { name: /parrot/ }).waitFor({ timeout: 20_000 })
    const findings = []
    const look = async (name) => {
      await page.waitForTimeout(300)
      await shot(page, `${name}-${theme}-${width}`)
      await page.evaluate(axe)
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
      const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
      for (const { id, nodes } of serious) findings.push(`${name}: ${id} at ${nodes[0]?.target} (${nodes.length})`)
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      )
      if (wide > 0) findings.push(`${name}: ${wide} pixels wider than the screen`)
    }
    await look('models')
    await page.getByRole('tab', { name: 'All modules' }).click()
    await look('modules')
    await page.getByRole('link', { name: 'Playground' }).click()
    await look('playground')
    await enterKey(page, key)
    const model = MODEL_SERVERS ? 'chat' : 'parrot'
    await say(page, 'What is the capital of France? Answer in one sentence.', model)
    await verified(page).waitFor({ timeout: patience })
    await look('reply')
    await verified(page).click()
    await page.getByText('Who agreed to it').waitFor()
    await look('receipt')
    await page.getByRole('tab', { name: 'Embeddings' }).click()
    await page.getByRole('button', { name: 'Embed 3 texts' }).click()
    await verified(page).waitFor({ timeout: patience })
    await look('embeddings')
    await page.getByRole('link', { name: 'Use it' }).click()
    await look('connect')
    await page.getByRole('link', { name: 'Account', exact: true }).click()
    await page.getByRole('button', { name: 'Check receipt' }).first().waitFor({ timeout: 10_000 })
    await look('account')
    check(
      `axe finds nothing serious and nothing hangs over, ${theme}, ${width} px`,
      findings.length === 0,
      findings.join('\n'),
    )
    check(`no errors, ${theme}, ${width} px`, problems.length === 0, problems.join('\n'))
    await close()
  }
}

async function shot(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) })
}

let holds = false
try {
  holds = await main()
} catch (error) {
  console.error(error)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(holds ? 0 : 1)
