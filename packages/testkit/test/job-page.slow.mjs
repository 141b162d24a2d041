// Slow lane: the page of a job in a real Chromium, framed as hosts frame apps: another origin, scripts only, no network.
// Exit 0 when everything holds, or with a line SKIPPED when Chromium cannot be had here; 1 otherwise.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { launchBrowser } from './launch-browser.mjs'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-page-'))
const page = readFileSync(fileURLToPath(new URL('../../../servers/mcp/page/job.html', import.meta.url)), 'utf8')
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
const hostile = '<img src=x onerror="parent.postMessage({stolen:1},\'*\')"><script>document.title="stolen"</script>'

/** A text inside a script of a page. */
const inScript = (text) => JSON.stringify(text).replaceAll('</', '<\\/')

/** A host: frames the page in a sandbox, answers its calls from a script, and keeps what it said. */
function hostSource(html) {
  return `<!doctype html><meta charset="utf-8"><title>host</title>
<iframe id="app" sandbox="allow-scripts" style="width:600px;height:600px"></iframe>
<script>
const said = [], calls = []
let jobCalls = 0
const common = { job_id: '0x' + 'a1'.repeat(32), module: 'sample', max_charge: '0.5', token: 'LILY', chain_id: 1, outputs: [] }
const open = { ...common, summary: 'sample is running', state: 'running', progress: 0.5, done: false, payment: 'reserved', charged: '0', untrusted: { log_tail: ${inScript(hostile)} } }
const over = { ...common, summary: 'sample is finished', state: 'settled', progress: 1, done: true, payment: 'settled', charged: '0.25', outputs: [{ path: 'a.png', bytes: 70 }] }
const results = {
  lilypad_get_job: () => ({ structuredContent: ++jobCalls > 1 ? over : open }),
  lilypad_get_outputs: () => ({
    content: [{ type: 'text', text: '{}' }, { type: 'image', mimeType: 'image/png', data: '${png}' }, { type: 'image', mimeType: 'image/svg+xml', data: '${png}' }],
    structuredContent: { summary: '1 file', job_id: common.job_id, verified: true, files: [{ path: ${inScript(hostile)}, bytes: 70, sha256: '0x' + '12'.repeat(32) }] },
  }),
  lilypad_verify_job: () => ({ structuredContent: { summary: 'Every check holds.', job_id: common.job_id, verdict: 'verified', checks: [{ name: 'receipt.signature', ok: true }, { name: 'chain.settled', ok: true }] } }),
  lilypad_cancel_job: () => ({ structuredContent: { ...open, summary: 'The provider is asked to stop.' } }),
}
const app = document.getElementById('app')
const send = (message) => app.contentWindow.postMessage({ jsonrpc: '2.0', ...message }, '*')
addEventListener('message', ({ data, source }) => {
  if (source !== app.contentWindow) return
  said.push(data)
  if (data.method === 'ui/initialize') send({ id: data.id, result: { protocolVersion: '2026-01-26', hostInfo: { name: 'host', version: '1' }, hostCapabilities: { serverTools: {} }, hostContext: { theme: 'dark' } } })
  if (data.method === 'ui/notifications/initialized') send({ method: 'ui/notifications/tool-result', params: { structuredContent: open } })
  if (data.method === 'tools/call') {
    calls.push(data.params)
    send({ id: data.id, result: results[data.params.name]() })
  }
})
app.srcdoc = ${inScript(html)}
</script>`
}

async function main() {
  // As hosts do for a page that names no origins in its metadata.
  const policy = `default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:`
  const guarded = page.replace('<head>', `<head><meta http-equiv="content-security-policy" content="${policy}">`)
  const browser = await launchBrowser(folder)
  if (!browser) return true
  const asked = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    response.setHeader('content-type', 'text/html')
    response.end(hostSource(guarded))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const tab = await browser.newPage()
    const problems = []
    const requests = []
    tab.on('pageerror', (error) => problems.push(String(error)))
    tab.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
    tab.on('request', (request) => requests.push(request.url()))
    await tab.goto(`http://127.0.0.1:${server.address().port}/`)
    const app = tab.frameLocator('#app')
    await app.locator('#log').filter({ hasText: 'onerror' }).waitFor({ timeout: 20_000 })
    const running = {
      stage: await app.locator('[aria-current]').textContent(),
      price: await app.locator('#price').textContent(),
      canCancel: await app.locator('#cancel').isVisible(),
    }
    await app.locator('#cancel').click()
    await app.locator('#images img').waitFor({ timeout: 20_000 })
    const images = await app.locator('#images img').count()
    const width = await app.locator('#images img').evaluate((image) => image.decode().then(() => image.naturalWidth))
    const markup = await app.locator('#files img, #files script, #log img').count()
    await app.locator('#verify').click()
    await app.locator('#checks span').first().waitFor({ timeout: 10_000 })
    const badges = await app.locator('#checks span').allTextContents()
    const dark = await app.locator('html').evaluate((html) => html.style.colorScheme)
    const { said, calls } = await tab.evaluate('({ said, calls })')
    const before = calls.length
    await new Promise((resolve) => setTimeout(resolve, 5000))
    const after = (await tab.evaluate('calls')).length
    const names = calls.map(({ name }) => name)
    const checks = [
      [
        'it shows the stage, the price and the log of a job that runs',
        running.stage === 'running' && running.price === 'at most 0.5 LILY',
      ],
      ['it asks the host, and cancels through the tool', running.canCancel && names.includes('lilypad_cancel_job')],
      ['it follows the job by itself', names.includes('lilypad_get_job')],
      ['it shows images of the kinds it knows, and no others', images === 1 && width === 1],
      ['text of strangers is text', markup === 0 && !said.some((message) => message.stolen)],
      ['it shows what was verified', badges.join() === '✓ verified,✓ receipt.signature,✓ chain.settled'],
      ['it takes the theme of the host', dark === 'dark'],
      [
        'it tells its size',
        said.some(({ method, params }) => method === 'ui/notifications/size-changed' && params.height > 0),
      ],
      ['it is quiet when the job is over', before === after],
      [
        'nothing was loaded from anywhere',
        requests.filter((url) => !url.startsWith('data:') && url !== 'about:srcdoc').length <= 2 &&
          asked.every((url) => url === '/' || url === '/favicon.ico'),
      ],
      ['it had no errors', problems.length === 0],
    ]
    for (const [what, holds] of checks) console.log(`${holds ? 'ok' : 'FAILED'}  ${what}`)
    if (problems.length > 0) console.log(problems.join('\n').slice(0, 1000))
    return checks.every(([, holds]) => holds)
  } finally {
    await browser.close()
    server.close()
  }
}

let holds = false
try {
  holds = await main()
} catch (error) {
  console.error(error)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = holds ? 0 : 1
