import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { developmentKey } from '@lilypad-agents/cli'
import { createSigner, type Hex } from '@lilypad-agents/protocol'
import {
  type ChainClient,
  createChainClient,
  formatTokenAmount,
  getTokenBalance,
  sendCallSync,
  toLilypadChain,
  transferCall,
} from '@lilypad-agents/sdk'
import { readKeyFile } from '@lilypad-agents/sdk/node'
import type { Client } from '@modelcontextprotocol/client'
import { authorizationTypes } from '@x402/evm'
import { parseAbi, parseEther } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { bundleFile, connectHttp, connectStdio, eras, startHttpProcess } from '../../../servers/mcp/test/clients.ts'
import { jobPrice } from '../slow/lane/programs.ts'
import { useMcpNetwork } from './mcp-network.ts'
import {
  type Answer,
  callTool,
  callUnpaid,
  errorOf,
  findPaymentRequired,
  payOfficially,
  responseOf,
  type WirePayment,
} from './x402-peers.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })

const Sold = z.looseObject({
  files: z.array(z.object({ url: z.string() })),
  untrusted: z.object({ texts: z.array(z.object({ text: z.string() })) }),
})
const lab = useMcpNetwork(['echo', 'slow', 'exit'])
const { freshFolder } = lab
const price = (jobPrice * 11n) / 10n
let bank: ChainClient
const closing: (() => Promise<void>)[] = []

beforeAll(() => {
  bank = createChainClient({ chain: toLilypadChain(lab.network.network), privateKey: developmentKey })
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const token = () => lab.network.network.contracts.lilyToken
const balanceOf = (account: Hex) => getTokenBalance(bank, { token: token(), account })
const seller = () => createSigner(readKeyFile(lab.network.state.keyFile('requester'))).address

/** A stranger: a fresh key with LILY and no ether. */
async function createBuyer(amount = price * 20n): Promise<{ readonly key: Hex; readonly address: Hex }> {
  const key: Hex = `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')}`
  const { address } = createSigner(key)
  await sendCallSync(bank, transferCall({ token: token(), to: address, amount }))
  return { key, address }
}

type Seller = Awaited<ReturnType<typeof startHttpProcess>>

async function startSeller(state = freshFolder(), ...more: string[]): Promise<Seller> {
  const names = ['echo', 'slow', 'exit'].flatMap((name) => ['--sell', `lane-${name}`])
  const args = ['--network', lab.network.state.networkFile, '--key-file', lab.network.state.keyFile('requester')]
  const started = await startHttpProcess([...args, '--state-dir', state, ...names, ...more], bundleFile, 'sell')
  let isOver = false
  const once = (end: () => Promise<void>) => async () => {
    if (isOver) return
    isOver = true
    await end()
  }
  const running = { url: started.url, close: once(started.close), kill: once(started.kill) }
  closing.push(running.close)
  return running
}

async function connect(url: string, era: (typeof eras)[number] = 'modern'): Promise<Client> {
  const client = await connectHttp(url, era)
  closing.push(() => client.close())
  return client
}

/** What the books of a seller say of its sales. */
function readSales(state: string): { readonly state: string; readonly orderHash: string | null }[] {
  const database = new DatabaseSync(join(state, 'sales.db'), { readOnly: true })
  try {
    return database
      .prepare('select value from sales order by opened_at, rowid')
      .all()
      .map(({ value }) => JSON.parse(String(value)))
  } finally {
    database.close()
  }
}

function countJobs(state: string): number {
  const database = new DatabaseSync(join(state, 'client.db'), { readOnly: true })
  try {
    return Number(database.prepare('select count(*) as jobs from jobs').get()?.jobs)
  } finally {
    database.close()
  }
}

async function until<T>(find: () => T | undefined | Promise<T | undefined>, what: string): Promise<T> {
  const end = Date.now() + 60_000
  for (;;) {
    const found = await find()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new TypeError(`did not happen: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const textOf = ({ structuredContent }: Answer) => Sold.parse(structuredContent).untrusted.texts[0]?.text

type Fields = Record<string, unknown>
/** A payment with its parts open to change. */
type Draft = { accepted: Fields & { extra: Fields }; payload: { authorization: Fields; signature: unknown } }
function change(payment: unknown, part: (draft: Draft) => void): unknown {
  const draft = structuredClone(payment) as Draft
  part(draft)
  return draft
}

describe.each(eras)('in the %s era, the official client', (era) => {
  test('is offered typed tools, pays, and gets the verified result with a receipt', async () => {
    const { url } = await startSeller()
    const buyer = await createBuyer()
    const client = await connect(url, era)
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual(['lilypad_lane_echo', 'lilypad_lane_slow', 'lilypad_lane_exit'])
    for (const tool of tools) {
      expect(tool.outputSchema).toBeUndefined()
      expect(tool.inputSchema).toMatchObject({ required: ['text'], additionalProperties: false })
    }

    const before = { seller: await balanceOf(seller()), buyer: await balanceOf(buyer.address) }
    const required = await callUnpaid(client, 'lilypad_lane_echo', { text: 'hello' })
    expect(required.accepts[0]).toMatchObject({ scheme: 'exact', network: 'eip155:31337', amount: price.toString() })
    const payment = await payOfficially(buyer.key, required)
    const answer = await callTool(client, 'lilypad_lane_echo', { text: 'hello' }, payment)
    expect(answer.isError).toBeUndefined()
    expect(textOf(answer)).toBe('hello')
    const { success, transaction, payer } = responseOf(answer)
    expect({ success, payer }).toEqual({ success: true, payer: buyer.address })
    expect((await bank.getTransactionReceipt({ hash: transaction as Hex })).status).toBe('success')
    expect(await balanceOf(buyer.address)).toBe(before.buyer - price)
    expect(await balanceOf(seller())).toBe(before.seller + price)

    // The file can be had without an account, and is the one that was signed.
    const [file] = Sold.parse(answer.structuredContent).files
    expect(await (await fetch(file?.url ?? '')).text()).toBe('hello')

    const again = await callTool(client, 'lilypad_lane_echo', { text: 'hello' }, payment)
    expect(responseOf(again).transaction).toBe(transaction)
    expect(again.structuredContent?.job_id).toBe(answer.structuredContent?.job_id)
    expect(await balanceOf(buyer.address)).toBe(before.buyer - price)
  })
})

test('a job that fails costs nothing', async () => {
  const { url } = await startSeller()
  const buyer = await createBuyer()
  const client = await connect(url)
  const before = await balanceOf(buyer.address)
  const payment = await payOfficially(buyer.key, await callUnpaid(client, 'lilypad_lane_exit', { text: 'x' }))
  const error = errorOf(await callTool(client, 'lilypad_lane_exit', { text: 'x' }, payment))
  expect(error).toMatchObject({ code: 'JOB_FAILED', charged: 'none' })
  expect(await balanceOf(buyer.address)).toBe(before)
})

test('bad arguments are told before any price', async () => {
  const { url } = await startSeller()
  const client = await connect(url)
  expect(errorOf(await callTool(client, 'lilypad_lane_echo', {}))).toMatchObject({
    code: 'INPUTS_INVALID',
    charged: 'none',
  })
  expect(errorOf(await callTool(client, 'lilypad_lane_echo', { text: { path: '/etc/passwd' } }))).toMatchObject({
    code: 'PATH_NOT_ALLOWED',
  })
})

describe('a payment is not taken', () => {
  let client: Client
  let state = ''
  let buyer: Awaited<ReturnType<typeof createBuyer>>
  beforeAll(async () => {
    buyer = await createBuyer()
  })
  const prepare = async (...more: string[]) => {
    state = freshFolder()
    const { url } = await startSeller(state, ...more)
    client = await connect(url)
    return payOfficially(buyer.key, await callUnpaid(client, 'lilypad_lane_echo', { text: 'hello' }))
  }
  /** The same terms, signed anew by the buyer's own key: what a hostile client can send. */
  const resign = async (
    payment: WirePayment,
    fields: Record<string, unknown>,
    domain: Record<string, unknown> = {},
  ) => {
    const { authorization } = payment.payload
    const message = { ...authorization, ...fields } as Record<string, string>
    const signature = await privateKeyToAccount(buyer.key).signTypedData({
      domain: { name: 'Lilypad', version: '1', chainId: 31_337, verifyingContract: token(), ...domain },
      types: authorizationTypes,
      primaryType: 'TransferWithAuthorization',
      message: message as never,
    })
    return change(payment, (copy) => {
      copy.payload = { authorization: message, signature }
    })
  }
  const refused = async (payment: unknown, args: Record<string, unknown> = { text: 'hello' }) => {
    const required = findPaymentRequired(await callTool(client, 'lilypad_lane_echo', args, payment))
    expect(readSales(state)).toEqual([])
    return required?.error
  }

  test('with wrong terms', async () => {
    const payment = await prepare()
    const other = createSigner(developmentKey).address
    const cases: [string, unknown][] = [
      ['invalid_exact_evm_payload_recipient_mismatch', await resign(payment, { to: other })],
      ['invalid_exact_evm_payload_authorization_value', await resign(payment, { value: (price - 1n).toString() })],
      [
        'invalid_exact_evm_payload_authorization_value',
        await resign(payment, { value: '340282366920938463463374607431768211455' }),
      ],
      [
        'invalid_exact_evm_payload_authorization_valid_before',
        await resign(payment, { validBefore: String(Math.floor(Date.now() / 1000) + 30) }),
      ],
      [
        'invalid_exact_evm_payload_authorization_valid_before',
        await resign(payment, { validBefore: String(2n ** 48n - 1n) }),
      ],
      [
        'invalid_exact_evm_payload_authorization_valid_after',
        await resign(payment, { validAfter: String(Math.floor(Date.now() / 1000) + 600) }),
      ],
      ['invalid_exact_evm_payload_signature', await resign(payment, {}, { chainId: 1 })],
      ['invalid_exact_evm_payload_signature', await resign(payment, {}, { verifyingContract: other })],
      [
        'invalid_exact_evm_payload_signature',
        change(payment, (copy) => (copy.payload.authorization.nonce = `0x${'7'.repeat(64)}`)),
      ],
      ['invalid_network', change(payment, (copy) => (copy.accepted.network = 'eip155:1'))],
      ['unsupported_scheme', change(payment, (copy) => (copy.accepted.scheme = 'upto'))],
      ['invalid_payment_requirements', change(payment, (copy) => (copy.accepted.asset = other))],
      ['invalid_payment_requirements', change(payment, (copy) => (copy.accepted.payTo = other))],
      ['invalid_payment_requirements', change(payment, (copy) => (copy.accepted.amount = '1'))],
      ['invalid_payment_requirements', change(payment, (copy) => (copy.accepted.extra.offer = `0x${'7'.repeat(64)}`))],
      ['invalid_payload', { x402Version: 2 }],
      ['invalid_payload', change(payment, (copy) => (copy.payload.signature = `0x${'ab'.repeat(500_000)}`))],
      ['invalid_payload', 'x'.repeat(900_000)],
    ]
    for (const [reason, hostile] of cases)
      expect(await refused(hostile), JSON.stringify(hostile).slice(0, 300)).toBe(reason)
  })

  test('that is larger than any payment: the server stays up', async () => {
    await prepare()
    await expect(callTool(client, 'lilypad_lane_echo', { text: 'hello' }, 'x'.repeat(1_100_000))).rejects.toThrow()
    expect((await client.listTools()).tools).toHaveLength(3)
  })

  test('for other inputs, or another tool, than its offer', async () => {
    const payment = await prepare()
    expect(await refused(payment, { text: 'other' })).toBe('invalid_payment_requirements')
    expect(findPaymentRequired(await callTool(client, 'lilypad_lane_slow', { text: 'hello' }, payment))?.error).toBe(
      'invalid_payment_requirements',
    )
    // It is still good for what it was made for, and then for nothing else.
    expect(textOf(await callTool(client, 'lilypad_lane_echo', { text: 'hello' }, payment))).toBe('hello')
    expect(errorOf(await callTool(client, 'lilypad_lane_echo', { text: 'other' }, payment))).toMatchObject({
      code: 'NONCE_USED',
    })
    // Whoever saw the payment on chain does not know its offer.
    const seen = change(payment, (copy) => (copy.accepted.extra.offer = `0x${'7'.repeat(64)}`))
    expect(errorOf(await callTool(client, 'lilypad_lane_echo', { text: 'hello' }, seen))).toMatchObject({
      code: 'NONCE_USED',
    })
  })

  test('without the money', async () => {
    await prepare()
    const poor = await createBuyer(price - 1n)
    const payment = await payOfficially(poor.key, await callUnpaid(client, 'lilypad_lane_echo', { text: 'hello' }))
    expect(await refused(payment)).toBe('insufficient_funds')
  })

  test('of an offer whose price has risen meanwhile: the old offer holds, a lower one is refused', async () => {
    const payment = await prepare()
    const cheap = await resign(payment, { value: '1' })
    const lowered = change(cheap, (copy) => (copy.accepted.amount = '1'))
    expect(await refused(lowered)).toBe('invalid_payment_requirements')
  })

  test('beyond what the seller risks', async () => {
    const payment = await prepare('--sell-max-loss', formatTokenAmount(jobPrice - 1n))
    expect(errorOf(await callTool(client, 'lilypad_lane_echo', { text: 'hello' }, payment))).toMatchObject({
      code: 'RATE_LIMITED',
      charged: 'none',
    })
    expect(readSales(state)).toEqual([])
  })

  test('when the price that the seller set does not cover the job', async () => {
    state = freshFolder()
    const { url } = await startSeller(state, '--sell', `lane-echo:${formatTokenAmount(jobPrice - 1n)}`)
    client = await connect(url)
    expect(errorOf(await callTool(client, 'lilypad_lane_echo', { text: 'hello' }))).toMatchObject({
      code: 'PRICE_OVER_CAP',
    })
  })
})

test('while a paid call runs there is no second price, and its payment is answered with its result', async () => {
  const state = freshFolder()
  const { url } = await startSeller(state)
  const [buyer, other] = [await createBuyer(), await createBuyer()]
  const client = await connect(url)
  const before = await balanceOf(buyer.address)
  const required = await callUnpaid(client, 'lilypad_lane_slow', { text: 'slow' })
  const payment = await payOfficially(buyer.key, required)
  const paid = [1, 2, 3].map(() => callTool(client, 'lilypad_lane_slow', { text: 'slow' }, payment))
  await until(() => (readSales(state).length > 0 ? true : undefined), 'the sale opens')
  expect(errorOf(await callTool(client, 'lilypad_lane_slow', { text: 'slow' }))).toMatchObject({ code: 'TIMED_OUT' })
  // The official client signs anew for each request: the same offer is not sold twice.
  const second = await payOfficially(other.key, required)
  expect(errorOf(await callTool(client, 'lilypad_lane_slow', { text: 'slow' }, second))).toMatchObject({
    code: 'STATE_CONFLICT',
  })
  const answers = await Promise.all(paid)
  expect(new Set(answers.map((answer) => responseOf(answer).transaction)).size).toBe(1)
  expect(await balanceOf(buyer.address)).toBe(before - price)
  expect(readSales(state)).toHaveLength(1)
  expect(countJobs(state)).toBe(1)
})

test('who paid in a session and gave the call up gets its result without a second price', async () => {
  const { url } = await startSeller()
  const buyer = await createBuyer()
  const client = await connect(url, 'legacy')
  const payment = await payOfficially(buyer.key, await callUnpaid(client, 'lilypad_lane_slow', { text: 'once' }))
  const before = await balanceOf(buyer.address)
  const giveUp = AbortSignal.timeout(300)
  const request = { name: 'lilypad_lane_slow', arguments: { text: 'once' }, _meta: { 'x402/payment': payment } }
  await expect(client.callTool(request, { signal: giveUp })).rejects.toThrow()
  expect(textOf(await callTool(client, 'lilypad_lane_slow', { text: 'once' }))).toBe('once')
  expect(await balanceOf(buyer.address)).toBe(before - price)
  // The next call is a new one.
  await callUnpaid(client, 'lilypad_lane_slow', { text: 'once' })
})

describe('kill -9', () => {
  const restart = async (state: string, payment: WirePayment) => {
    const { url } = await startSeller(state)
    const client = await connect(url)
    return callTool(client, 'lilypad_lane_slow', { text: 'crash' }, payment)
  }
  const open = async () => {
    const state = freshFolder()
    const buyer = await createBuyer()
    const server = await startSeller(state)
    const client = await connect(server.url)
    const payment = await payOfficially(buyer.key, await callUnpaid(client, 'lilypad_lane_slow', { text: 'crash' }))
    const before = await balanceOf(buyer.address)
    callTool(client, 'lilypad_lane_slow', { text: 'crash' }, payment).catch(() => undefined)
    return { state, buyer, server, payment, before }
  }
  const expectOnce = async (started: Awaited<ReturnType<typeof open>>, answer: Answer) => {
    expect(textOf(answer)).toBe('crash')
    expect(await balanceOf(started.buyer.address)).toBe(started.before - price)
    expect(readSales(started.state).map((sale) => sale.state)).toEqual(['settled'])
    expect(countJobs(started.state)).toBe(1)
  }

  test('after the payment was taken, before the order', async () => {
    const started = await open()
    await until(() => (readSales(started.state).length > 0 ? true : undefined), 'the sale opens')
    await started.server.kill()
    await expectOnce(started, await restart(started.state, started.payment))
  })

  test('while the job runs', async () => {
    const started = await open()
    await until(() => readSales(started.state)[0]?.orderHash ?? undefined, 'the job is ordered')
    await started.server.kill()
    await expectOnce(started, await restart(started.state, started.payment))
  })

  test('after the transaction was sent, before it is in a block', async () => {
    const started = await open()
    await bank.request({ method: 'evm_setAutomine', params: [false] } as never)
    try {
      await until(() => (readSales(started.state)[0]?.state === 'delivered' ? true : undefined), 'the job is delivered')
      await until(async () => {
        const pending = (await bank.request({ method: 'txpool_status' } as never)) as { pending: Hex }
        return BigInt(pending.pending) > 0n ? true : undefined
      }, 'the transaction is sent')
      await started.server.kill()
    } finally {
      await bank.request({ method: 'evm_setAutomine', params: [true] } as never)
      await bank.request({ method: 'evm_mine' } as never)
    }
    await expectOnce(started, await restart(started.state, started.payment))
  })

  test('before the transaction is sent: the payment is collected after the restart', async () => {
    const started = await open()
    // Without ether the seller cannot send it.
    const balance = await bank.getBalance({ address: seller() })
    await bank.request({ method: 'anvil_setBalance', params: [seller(), '0x0'] } as never)
    try {
      await until(() => (readSales(started.state)[0]?.state === 'delivered' ? true : undefined), 'the job is delivered')
      await started.server.kill()
    } finally {
      await bank.request({
        method: 'anvil_setBalance',
        params: [seller(), `0x${(balance + parseEther('1')).toString(16)}`],
      } as never)
    }
    await expectOnce(started, await restart(started.state, started.payment))
  })

  test('after it was settled', async () => {
    const started = await open()
    await until(() => (readSales(started.state)[0]?.state === 'settled' ? true : undefined), 'the sale is settled')
    await started.server.kill()
    await expectOnce(started, await restart(started.state, started.payment))
  })
})

describe('a buyer that takes its money back while the job runs', () => {
  test('by cancelling gets no result, and buys nothing more', async () => {
    const state = freshFolder()
    const { url } = await startSeller(state)
    const buyer = await createBuyer()
    const client = await connect(url)
    const payment = await payOfficially(buyer.key, await callUnpaid(client, 'lilypad_lane_slow', { text: 'mine' }))
    const answer = callTool(client, 'lilypad_lane_slow', { text: 'mine' }, payment)
    await until(() => (readSales(state).length > 0 ? true : undefined), 'the sale opens')
    const { nonce } = payment.payload.authorization
    const signature = await privateKeyToAccount(buyer.key).signTypedData({
      domain: { name: 'Lilypad', version: '1', chainId: 31_337, verifyingContract: token() },
      types: {
        CancelAuthorization: [
          { name: 'authorizer', type: 'address' },
          { name: 'nonce', type: 'bytes32' },
        ],
      },
      primaryType: 'CancelAuthorization',
      message: { authorizer: buyer.address, nonce },
    })
    const [r, s, v] = [signature.slice(0, 66), `0x${signature.slice(66, 130)}`, Number(`0x${signature.slice(130)}`)]
    await sendCallSync(bank, {
      address: token(),
      abi: parseAbi(['function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)']),
      functionName: 'cancelAuthorization',
      args: [buyer.address, nonce, v, r, s],
    })
    expect(errorOf(await answer)).toMatchObject({ code: 'PAYMENT_REFUSED', charged: 'none' })
    expect(JSON.stringify(await answer)).not.toContain('mine')
    const next = await payOfficially(buyer.key, await callUnpaid(client, 'lilypad_lane_echo', { text: 'more' }))
    expect(errorOf(await callTool(client, 'lilypad_lane_echo', { text: 'more' }, next))).toMatchObject({
      code: 'RATE_LIMITED',
    })
  })

  test('by moving it gets the result when it is back', async () => {
    const state = freshFolder()
    const { url } = await startSeller(state)
    const buyer = await createBuyer(price)
    await bank.request({ method: 'anvil_setBalance', params: [buyer.address, '0xde0b6b3a7640000'] } as never)
    const purse = createChainClient({ chain: toLilypadChain(lab.network.network), privateKey: buyer.key })
    const client = await connect(url)
    const payment = await payOfficially(buyer.key, await callUnpaid(client, 'lilypad_lane_slow', { text: 'late' }))
    const answer = callTool(client, 'lilypad_lane_slow', { text: 'late' }, payment)
    await until(() => (readSales(state).length > 0 ? true : undefined), 'the sale opens')
    const bankAddress = createSigner(developmentKey).address
    await sendCallSync(purse, transferCall({ token: token(), to: bankAddress, amount: price }))
    await until(() => (readSales(state)[0]?.state === 'delivered' ? true : undefined), 'the job is delivered')
    await sendCallSync(bank, transferCall({ token: token(), to: buyer.address, amount: price }))
    expect(textOf(await answer)).toBe('late')
    expect(await balanceOf(buyer.address)).toBe(0n)
  })
})

test('our own buyer pays our own seller once, however often it calls at once', async () => {
  const { url } = await startSeller()
  const buyer = await createBuyer()
  const keyFile = join(freshFolder(), 'key')
  mkdirSync(dirname(keyFile))
  writeFileSync(keyFile, `${buyer.key}\n`, { mode: 0o600 })
  const { client } = await connectStdio(
    [
      ...['--network', lab.network.state.networkFile, '--key-file', keyFile, '--state-dir', freshFolder()],
      ...['--approval', 'host', '--paid-server', `lilypad=${url}`],
    ],
    'modern',
    bundleFile,
  )
  closing.push(() => client.close())
  const before = await balanceOf(buyer.address)
  const call = { server: 'lilypad', tool: 'lilypad_lane_slow', args: { text: 'ours' }, max_price: '1' }
  const answers = [1, 2].map(() => callTool(client, 'lilypad_call_paid_tool', call))
  for (const answer of await Promise.all(answers)) {
    expect(answer.isError, JSON.stringify(answer.structuredContent)).toBeUndefined()
    const { data } = z.object({ data: Sold }).parse(answer.structuredContent?.untrusted)
    expect(data.untrusted.texts).toMatchObject([{ text: 'ours' }])
  }
  expect(await balanceOf(buyer.address)).toBe(before - price)
})
