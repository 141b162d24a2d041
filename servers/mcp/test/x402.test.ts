import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner, keccak256 } from '@lilypad-agents/protocol'
import type { ChainClient, Lilypad } from '@lilypad-agents/sdk'
import {
  findPaymentFault,
  type PaymentRequirements,
  type PaymentTerms,
  signAuthorization,
  type TokenDomain,
} from '@lilypad-agents/sdk/x402'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { helpText } from '../src/config/help-text.ts'
import { readCommand } from '../src/config/read-command.ts'
import { openCallStore, type PaidCall } from '../src/x402/buy/call-store.ts'
import { choosePayable } from '../src/x402/buy/choose-requirements.ts'
import { createLogger } from '../src/log/logger.ts'
import { createSales } from '../src/x402/sell/sales.ts'
import type { SoldCall } from '../src/x402/sell/sold-module.ts'
import type { Offer, Sale } from '../src/x402/sell/sale.ts'
import { openSaleStore, type SaleStore } from '../src/x402/sell/sale-store.ts'
import { callRefused, callTool, connectStdio, makeSilentNetwork } from './clients.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-x402-'))
const silent = makeSilentNetwork()
afterAll(() => {
  for (const path of [folder, silent.folder]) rmSync(path, { recursive: true, force: true })
})
let folders = 0
const newFolder = () => join(folder, String(folders++))

const buyer = createSigner(keccak256('buyer'))
const address = (digit: string): `0x${string}` => `0x${digit.repeat(40)}`
const [asset, seller] = [address('a'), address('5')]
const now = 1_800_000_000

describe('settings', () => {
  const read = (...args: string[]) =>
    readCommand({ args: ['sell', '--network', silent.networkFile, '--key-file', silent.keyFile, ...args], env: {} })

  test('what is sold, for how much, and at which risk', () => {
    const command = read('--sell', 'tts', '--sell', 'ocr:0.5', '--sell-margin', '2.5', '--sell-max-loss', '3')
    expect(command).toMatchObject({
      name: 'sell',
      config: {
        sale: {
          modules: [{ module: 'tts' }, { module: 'ocr', price: 5n * 10n ** 17n }],
          marginBips: 250,
          maxLoss: 3n * 10n ** 18n,
        },
      },
    })
    expect(helpText()).toContain('--sell-max-loss')
  })

  test('paid servers by name', () => {
    const urls = ['weather=https://example.com/mcp', 'here=http://127.0.0.1:9/mcp']
    expect(read('--sell', 'tts', ...urls.flatMap((url) => ['--paid-server', url]))).toMatchObject({
      config: {
        paidServers: [
          { name: 'weather', url: 'https://example.com/mcp' },
          { name: 'here', url: 'http://127.0.0.1:9/mcp' },
        ],
      },
    })
  })

  test.each([
    ['--sell', ''],
    ['--sell', ':1'],
    ['--sell', 'tts:lots'],
    ['--sell', 'tts:1:2'],
    ['--sell-margin', '-1'],
    ['--sell-margin', '10%'],
    ['--sell-max-loss', 'all'],
    ['--paid-server', 'https://example.com/mcp'],
    ['--paid-server', 'Weather=https://example.com/mcp'],
    ['--paid-server', 'weather=ftp://example.com'],
    ['--paid-server', 'weather=http://example.com/mcp'],
    ['--paid-server', 'weather=https://user:secret@example.com/mcp'],
  ])('refuses %s %j, without repeating it', (flag, value) => {
    let message = ''
    try {
      read(...(flag === '--sell' ? [] : ['--sell', 'tts']), flag, value)
    } catch (error) {
      message = String(error)
    }
    expect(message).toContain(flag)
    expect(message).not.toContain('secret')
  })

  test('refuses two servers of one name', () => {
    const twice = ['--paid-server', 'a=https://example.com', '--paid-server', 'a=https://example.org']
    expect(() => read('--sell', 'tts', ...twice)).toThrow(/two servers of one name/)
  })
})

describe('the books of a seller', () => {
  const offer = (name: string, change: Partial<Offer> = {}): Offer => ({
    id: keccak256(`offer ${name}`),
    quoteId: keccak256(`quote ${name}`),
    tool: 'lilypad_echo',
    inputsDigest: keccak256('inputs'),
    amount: 110n,
    cost: 100n,
    payTo: seller,
    expiresAt: now + 200,
    payableUntil: now + 1000,
    ...change,
  })
  const sale = (name: string, change: Partial<Sale> = {}): Sale => ({
    id: keccak256(`sale ${name}`),
    offer: offer(name),
    authorization: {
      from: createSigner(keccak256(`buyer ${name}`)).address,
      to: seller,
      value: 110n,
      validAfter: 0n,
      validBefore: BigInt(now + 2000),
      nonce: keccak256(`nonce ${name}`),
    },
    signature: `0x${'11'.repeat(65)}`,
    state: 'open',
    orderHash: null,
    transaction: null,
    fromBlock: 1,
    openedAt: now,
    endedAt: null,
    problem: null,
    ...change,
  })
  const limits = { maxLoss: 250n }
  let store: SaleStore
  beforeEach(() => {
    store = openSaleStore(newFolder())
  })

  test('keep offers for an hour beyond their end', () => {
    store.putOffer(offer('old'), now)
    store.putOffer(offer('new', { expiresAt: now + 9000 }), now + 200 + 3600)
    expect(store.findOffer(offer('old').id)).toEqual(offer('old'))
    store.putOffer(offer('newer', { expiresAt: now + 9000 }), now + 200 + 3601)
    expect(store.findOffer(offer('old').id)).toBeUndefined()
    expect(store.findOffer(offer('new').id)).toBeDefined()
  })

  test('take the same payment as the same sale, and one payment per offer', () => {
    expect(store.openSale(sale('a'), limits)).toEqual(sale('a'))
    store.updateSale(sale('a').id, (known) => ({ ...known, state: 'delivered' }))
    expect(store.openSale(sale('a'), limits).state).toBe('delivered')
    expect(() => store.openSale(sale('b', { offer: offer('a') }), limits)).toThrow(/another payment/)
    expect(store.findOpenSale(offer('a'))?.id).toBe(sale('a').id)
  })

  test('one open sale per account', () => {
    store.openSale(sale('a'), limits)
    const { from } = sale('a').authorization
    const second = sale('b', { authorization: { ...sale('b').authorization, from } })
    expect(() => store.openSale(second, limits)).toThrow(/not paid yet/)
    store.updateSale(sale('a').id, (known) => ({ ...known, state: 'settled' }))
    expect(store.openSale(second, limits)).toEqual(second)
  })

  test('no second sale for an account that left one unpaid; for one that the seller failed, yes', () => {
    const again = (name: string) =>
      sale(`${name} 2`, { authorization: { ...sale(`${name} 2`).authorization, from: sale(name).authorization.from } })
    for (const name of ['a', 'b']) store.openSale(sale(name), limits)
    store.updateSale(sale('a').id, (known) => ({ ...known, state: 'unpaid' }))
    store.updateSale(sale('b').id, (known) => ({ ...known, state: 'uncollected' }))
    expect(() => store.openSale(again('a'), { maxLoss: 1000n })).toThrow(/could not be collected/)
    expect(store.openSale(again('b'), { maxLoss: 1000n }).state).toBe('open')
  })

  test('no more unpaid work than the cap: open work counts while it is open, lost work for a day', () => {
    store.openSale(sale('a'), limits)
    store.openSale(sale('b'), limits)
    expect(() => store.openSale(sale('c'), limits)).toThrow(/before earlier work is paid/)
    store.updateSale(sale('a').id, (known) => ({ ...known, state: 'settled' }))
    store.openSale(sale('c'), limits)
    for (const name of ['b', 'c']) store.updateSale(sale(name).id, (known) => ({ ...known, state: 'unpaid' }))
    expect(() => store.openSale(sale('d'), limits)).toThrow(/before earlier work is paid/)
    expect(store.openSale(sale('d', { openedAt: now + 86_401 }), limits).state).toBe('open')
  })

  test('outlive the process', () => {
    const path = newFolder()
    const first = openSaleStore(path)
    first.putOffer(offer('a'), now)
    first.openSale(sale('a'), limits)
    first.close()
    const second = openSaleStore(path)
    expect(second.listOpenSales()).toEqual([sale('a')])
    expect(second.findOffer(offer('a').id)).toEqual(offer('a'))
    second.close()
  })

  test('files that are only priced are bounded: they lie on our disk, and asking costs nothing', async () => {
    let prices = 0
    const lilypad = {
      payer: seller,
      checkOrder: async () => {},
      quote: async () => {
        prices += 1
        return { quote: { quoteId: keccak256(`quote ${prices}`), maxPrice: 100n, expiresAt: now, deliverBy: now } }
      },
    }
    const sales = createSales({
      ...{ lilypad: lilypad as unknown as Lilypad, store, client: {} as ChainClient },
      ...{
        terms: {} as PaymentTerms,
        config: { modules: [], marginBips: 0, maxLoss: 1n },
        logger: createLogger('silent'),
      },
    })
    const call = (bytes: number) =>
      ({
        sold: { tool: 'lilypad_echo', listing: { moduleVersion: keccak256('version') }, price: undefined },
        given: { inputs: {}, files: bytes === 0 ? {} : { file: { bytes: new Uint8Array(bytes) } } },
        inputsDigest: keccak256('inputs'),
      }) as unknown as SoldCall
    for (let count = 0; count < 16; count++) await sales.offer(call(256 * 1024))
    await expect(sales.offer(call(256 * 1024))).rejects.toMatchObject({ code: 'RATE_LIMITED', charged: 'none' })
    expect((await sales.offer(call(0))).amount).toBe(100n)
    expect(prices).toBe(17)
    await sales.close()
  })

  test('the latest second of a payment is one that the token reads as a time', () => {
    const domain: TokenDomain = { name: 'Lilypad', version: '1', chainId: 1, verifyingContract: asset }
    const terms = { network: 'eip155:1', asset, domain }
    const fault = (validBefore: bigint, validAfter = 0n) => {
      const authorization = { ...sale('a').authorization, from: buyer.address, validBefore, validAfter }
      const accepted = {
        scheme: 'exact',
        network: 'eip155:1',
        amount: '110',
        asset,
        payTo: seller,
        maxTimeoutSeconds: 1,
      }
      const payload = { authorization, signature: signAuthorization(buyer, domain, authorization) }
      return findPaymentFault({ x402Version: 2, accepted, payload }, offer('a'), terms, now)
    }
    expect(fault(BigInt(now + 1000))).toBeUndefined()
    expect(fault(BigInt(now + 999))).toBe('invalid_exact_evm_payload_authorization_valid_before')
    expect(fault(1n << 40n)).toBe('invalid_exact_evm_payload_authorization_valid_before')
    expect(fault((1n << 40n) - 1n)).toBeUndefined()
    expect(fault(BigInt(now + 1000), BigInt(now))).toBe('invalid_exact_evm_payload_authorization_valid_after')
  })
})

test('a list of paid tools and a paid call can be the first call of a process', async () => {
  const args = ['--network', silent.networkFile, '--key-file', silent.keyFile, '--approval', 'host']
  const shop = ['--paid-server', 'shop=http://127.0.0.1:9/mcp']
  const { client: reader } = await connectStdio([...args, ...shop, '--state-dir', newFolder()], 'modern')
  const { client: buying } = await connectStdio([...args, ...shop, '--state-dir', newFolder()], 'modern')
  try {
    expect((await callTool(reader, 'lilypad_list_paid_tools')).structuredContent).toMatchObject({
      unreachable: ['shop'],
    })
    const call = { server: 'shop', tool: 'shout', args: {}, max_price: '1' }
    expect(await callRefused(buying, 'lilypad_call_paid_tool', call)).toMatchObject({ code: 'PAID_SERVER_UNREACHABLE' })
  } finally {
    await Promise.all([reader.close(), buying.close()])
  }
})

describe('the way to pay', () => {
  const ours = { network: 'eip155:1', asset, payer: buyer.address }
  const way = (change: Partial<PaymentRequirements> = {}): PaymentRequirements => ({
    ...{ scheme: 'exact', network: 'eip155:1', amount: '100', asset, payTo: seller, maxTimeoutSeconds: 60 },
    ...change,
  })
  const choose = (...accepts: PaymentRequirements[]) => choosePayable({ x402Version: 2, accepts }, ours)

  test('is the cheapest that is ours, sent back as it came', () => {
    const odd = way({ amount: '90', asset: asset.toUpperCase().replace('0X', '0x'), extra: { offer: 'x' }, hint: 1 })
    expect(
      choose(way({ scheme: 'upto', amount: '1' }), way(), odd, way({ network: 'eip155:8453', amount: '2' })),
    ).toEqual({
      requirements: odd,
      amount: 90n,
      payTo: seller,
    })
  })

  test.each<[string, Partial<PaymentRequirements>]>([
    ['an amount with a dot', { amount: '0.5' }],
    ['an amount in hexadecimal', { amount: '0x64' }],
    ['more than a number of the token', { amount: `${1n << 128n}` }],
    ['a name for a payee', { payTo: 'seller.eth' }],
    ['ourselves as payee', { payTo: buyer.address }],
  ])('is not one with %s', (_, change) => {
    expect(() => choose(way(change))).toThrow(/no payment that this wallet makes/)
  })
})

test('a planned call keeps its payment until it is too old, a signed one for ever', () => {
  const path = newFolder()
  const store = openCallStore(path)
  const call = (nonce: string, change: Partial<PaidCall> = {}): PaidCall => ({
    id: keccak256('call'),
    paymentId: keccak256('payment'),
    attempt: 0,
    server: 'weather',
    tool: 'forecast',
    requirements: { scheme: 'exact', network: 'eip155:1', amount: '1', asset, payTo: seller, maxTimeoutSeconds: 60 },
    authorization: {
      from: buyer.address,
      to: seller,
      value: 1n,
      validAfter: 0n,
      validBefore: 9n,
      nonce: keccak256(nonce),
    },
    state: 'planned',
    transaction: null,
    answer: null,
    plannedAt: now,
    ...change,
  })
  expect(store.plan(call('a'), () => false)).toEqual(call('a'))
  expect(store.plan(call('b'), () => false)).toEqual(call('a'))
  expect(store.findPlanned(keccak256('payment'))).toEqual(call('a'))
  expect(store.plan(call('b'), ({ state }) => state === 'planned')).toEqual(call('b'))
  store.update(call('b').id, (known) => ({ ...known, state: 'signed' }))
  expect(store.plan(call('c'), ({ state }) => state === 'planned').authorization).toEqual(call('b').authorization)
  expect(store.findPlanned(keccak256('payment'))).toBeUndefined()
  store.close()
  const next = openCallStore(path)
  expect(next.listSigned()).toEqual([call('b', { state: 'signed' })])
  next.close()
})
