// Slow lane: a real Chromium verifies a genuine and a tampered bundle and signs an order, with the code that pages use.
// Exit 0 when everything holds, or with a line SKIPPED when Chromium cannot be had here; 1 otherwise.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleForBrowser } from './bundle-for-browser.ts'
import { launchBrowser } from './launch-browser.mjs'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-browser-'))

const fixture = JSON.stringify(fileURLToPath(new URL('../../sdk/test/sample-bundle.ts', import.meta.url)))
const pageSource = `
import { createSigner, JobBundle, jobOrderType, keccak256, toHex } from '@lilypad-agents/protocol'
import { verifyBundle } from '@lilypad-agents/sdk/verify'
import { createSampleBundle, findSampleOutput, sampleDomain, sampleSigners } from ${fixture}

async function check(json) {
  const parsed = JobBundle.safeParse(json)
  if (!parsed.success) return { ok: false, failed: ['schema'] }
  const { ok, checks } = await verifyBundle(parsed.data, { findOutput: findSampleOutput })
  return { ok, failed: checks.filter((each) => !each.ok).map(({ name }) => name), count: checks.length }
}
export const run = async (genuine, tampered) => {
  const { order } = createSampleBundle().order
  return {
    genuine: await check(genuine),
    tampered: await check(tampered),
    orderHash: jobOrderType.hash(sampleDomain, order),
    signature: jobOrderType.sign(sampleDomain, order, sampleSigners.session),
    fresh: createSigner(toHex(crypto.getRandomValues(new Uint8Array(32)))).address.length,
    hash: keccak256('page'),
  }
}
globalThis.lilypadRun = run
`

const bundleSource = `
import { JobBundle } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { createSampleBundle } from ${fixture}
export const wire = JSON.parse(JSON.stringify(z.encode(JobBundle, createSampleBundle())))
`

const importCode = (code) => import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`)

async function main() {
  const { code } = await bundleForBrowser(pageSource)
  const { wire } = await importCode((await bundleForBrowser(bundleSource)).code)
  const tampered = structuredClone(wire)
  tampered.delivery.receipt.price = String(BigInt(tampered.delivery.receipt.price) - 1n)
  const node = await (await importCode(code)).run(wire, tampered)

  const browser = await launchBrowser(folder)
  if (!browser) return true
  const page =
    '<!doctype html><meta charset="utf-8"><title>Lilypad</title><script type="module" src="/page.js"></script>'
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.setHeader('content-security-policy', "default-src 'none'; script-src 'self'")
    response.end(isScript ? code : page)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const tab = await browser.newPage()
    const problems = []
    tab.on('pageerror', (error) => problems.push(String(error)))
    await tab.goto(`http://127.0.0.1:${server.address().port}/`)
    await tab.waitForFunction('globalThis.lilypadRun !== undefined', undefined, { timeout: 30_000 })
    const seen = await tab.evaluate(([genuine, other]) => globalThis.lilypadRun(genuine, other), [wire, tampered])
    const checks = [
      ['a genuine bundle verifies in the page', seen.genuine.ok && seen.genuine.count > 25],
      ['a tampered bundle does not', !seen.tampered.ok && seen.tampered.failed.includes('receipt.signature')],
      ['the page signs the order as Node does', seen.orderHash === node.orderHash && seen.signature === node.signature],
      ['the page hashes as Node does', seen.hash === node.hash],
      ['the page makes keys', seen.fresh === 42],
      ['Node says the same of both bundles', node.genuine.ok && !node.tampered.ok],
      ['the page had no errors', problems.length === 0],
    ]
    for (const [what, holds] of checks) console.log(`${holds ? 'ok' : 'FAILED'}  ${what}`)
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
