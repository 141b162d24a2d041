import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runGatewayCommand, startGatewayProcess } from './gateway-process.ts'
import { eventually, jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

let base: TestGateway
let settings: readonly string[]
let keyFile: string

beforeAll(async () => {
  base = await startTestGateway()
  const { actor } = await base.market.openRequester()
  const { environment } = base.market.createNode(actor, 'gateway')
  keyFile = join(base.folder, 'first.key')
  settings = [
    '--network',
    environment.LILYPAD_NETWORK_FILE,
    '--key-file',
    environment.LILYPAD_KEY_FILE,
    '--state-dir',
    join(base.folder, 'killed'),
    '--first-key-file',
    keyFile,
    '--first-credit',
    '0.001',
  ]
})
afterAll(() => base?.close())

const state = () => settings.slice(4, 6)
const chat = (content: string) => ({ model: 'parrot', messages: [{ role: 'user', content }], max_tokens: 3 })

test('after kill -9 the next start settles what was open, and the ledger is whole', async () => {
  const first = await startGatewayProcess([...settings, '--port', '0'])
  const key = readFileSync(keyFile, 'utf8').trim()
  expect(statSync(keyFile).mode & 0o777).toBe(0o600)
  expect((await post(first.url, '/v1/chat/completions', key, chat('one two'))).status).toBe(200)
  const asked = post(first.url, '/v1/chat/completions', key, chat('!wait 1500')).catch(() => 'cut')
  const account = async (url: string) =>
    jsonOf(fetch(`${url}/v1/account`, { headers: { authorization: `Bearer ${key}` } }))
  await eventually(async () => ((await account(first.url)).reserved !== '0' ? true : undefined))
  await new Promise((resolve) => setTimeout(resolve, 300))
  const killed = once(first.child, 'exit')
  first.child.kill('SIGKILL')
  expect(await asked).toBe('cut')
  await killed
  const second = await startGatewayProcess([...settings, '--port', '0'])
  try {
    await eventually(async () => ((await account(second.url)).reserved === '0' ? true : undefined), 40)
    const { data } = await jsonOf(fetch(`${second.url}/v1/usage`, { headers: { authorization: `Bearer ${key}` } }))
    const wei = (text: string) => Number(text) * 1e18
    const charged = data.reduce((sum: number, { cost }: { cost: string }) => sum + wei(cost), 0)
    expect(wei((await account(second.url)).balance)).toBeCloseTo(1e15 - charged, -2)
    // A running embedded database is one process's: the command is carried out there.
    const beside = await runGatewayCommand(['account', 'credit', 'first', '0.002', 'beside', ...state()])
    expect([beside.code, JSON.parse(beside.out)]).toMatchObject([0, { account: 'first', isNew: true }])
    const checked = await runGatewayCommand(['ledger', 'check', ...state()])
    expect([checked.code, JSON.parse(checked.out)]).toMatchObject([
      0,
      { isBalanced: true, faults: [], operator: '0.003' },
    ])
    const wrong = await runGatewayCommand(['account', 'credit', 'nobody', '1', 'x', ...state()])
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringMatching(/no such account/)])
  } finally {
    const exited = once(second.child, 'exit')
    second.child.kill('SIGTERM')
    expect((await exited)[0]).toBe(0)
  }
})

test('accounts and keys are made from the command line', async () => {
  const run = async (...args: string[]) => {
    const { code, out, err } = await runGatewayCommand([...args, ...state()])
    expect(err).toBe('')
    expect(code).toBe(0)
    return JSON.parse(out)
  }
  await run('account', 'create', 'acme')
  expect(await run('account', 'credit', 'acme', '0.5', 'invoice 1')).toMatchObject({ isNew: true, balance: '0.5' })
  const { key } = await run('key', 'create', 'acme', '--budget', '0.1', '--requests-per-minute', '60')
  expect(key).toMatch(/^lp-/)
  expect(await run('account', 'list')).toContainEqual(
    expect.objectContaining({ name: 'acme', balance: '0.5', reserved: '0' }),
  )
})
