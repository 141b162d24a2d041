import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { answersRpc, startAnvil } from '../src/local/anvil.ts'
import type { Child } from '../src/local/child-process.ts'
import { findFreePort } from '../src/local/free-port.ts'

let anvil: Child | undefined
const folder = mkdtempSync(join(tmpdir(), 'lilypad-anvil-'))
afterEach(async () => {
  await anvil?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function call(url: string, method: string): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: [] })
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return ((await response.json()) as { result: unknown }).result
}

test('a chain killed while it writes its state goes on from the last whole state', async () => {
  const port = await findFreePort()
  const url = `http://127.0.0.1:${port}`
  const stateFile = join(folder, 'state.json')
  anvil = await startAnvil({ port, logFile: join(folder, 'anvil.log'), stateFile })
  for (let block = 0; block < 3; block += 1) await call(url, 'evm_mine')
  const copy = `${stateFile}.whole`
  const hasBlocks = () => existsSync(copy) && JSON.parse(readFileSync(copy, 'utf8')).best_block_number === 3
  await expect.poll(hasBlocks, { timeout: 10_000 }).toBe(true)
  process.kill(anvil.pid() ?? 0, 'SIGKILL')
  writeFileSync(stateFile, readFileSync(stateFile, 'utf8').slice(0, 1000))
  await expect.poll(() => answersRpc(url).catch(() => false), { timeout: 20_000 }).toBe(true)
  expect(await call(url, 'eth_blockNumber')).toBe('0x3')
})

test('a web page cannot speak to the chain through the browser', async () => {
  const port = await findFreePort()
  const url = `http://127.0.0.1:${port}`
  anvil = await startAnvil({ port, logFile: join(folder, 'anvil.log') })
  const origin = 'http://page.example'
  const asked = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }
  const preflight = await fetch(url, { method: 'OPTIONS', headers: asked })
  expect(preflight.headers.get('access-control-allow-origin')).toBeNull()
  // The one content type of JSON that needs no preflight is not answered.
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] })
  const plain = await fetch(url, { method: 'POST', headers: { origin, 'content-type': 'text/plain' }, body })
  expect(await plain.json()).not.toHaveProperty('result')
})
