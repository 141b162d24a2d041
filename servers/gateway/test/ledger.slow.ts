import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sendCallSync, transferCall } from '@lilypad-agents/sdk'
import { startTestChain } from '@lilypad-agents/testkit'
import { createTestClient, http } from 'viem'
import { openDatabase } from '../src/db/open-database.ts'
import { createDepositChain } from '../src/deposits/deposit-chain.ts'
import { checkLedger } from '../src/ledger/check-ledger.ts'
import { createRandom, finish, makePlan } from './ledger/moves.ts'

/**
 * Thousands of random moves of money by two replicas, with real deposits on a real chain, while one process after the other is killed
 * with SIGKILL. In the end the ledger has to be what plan, chain and providers say. With DATABASE_URL the replicas are two processes over
 * that server, else two in one process over the embedded database. Prints one line of JSON; exits with 1 if anything does not hold.
 */
const { values } = parseArgs({
  options: {
    moves: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const [moves, seed] = [Number(values.moves), Number(values.seed)]
const startedAt = performance.now()
const random = createRandom(seed)
const folder = mkdtempSync(join(tmpdir(), 'lp-ledger-'))
const net = await startTestChain()
const anvil = createTestClient({ mode: 'anvil', transport: http(net.network.rpcUrl) })
const server = process.env.DATABASE_URL
const where = server === undefined ? { directory: join(folder, 'db') } : { databaseUrl: server }
const replicas = ['replica-0', 'replica-1']
const sharing = server === undefined ? [replicas.join(',')] : replicas

const gateway = await net.createActor()
const sweepers = [await net.createActor(), await net.createActor()]
const payer = gateway.signer.address
const chain = createDepositChain({ network: net.network, payer, signer: gateway.signer })
const size = { folder, accounts: 8, topUps: 210, credits: 400, jobs: Math.ceil(moves / 4) }
const opened = await openDatabase(where)
const plan = await makePlan(opened.database, chain, size)
await opened.close()
const planFile = join(folder, 'plan.json')
const keys = Object.fromEntries(replicas.map((replica, index) => [replica, sweepers[index]?.key]))
writeFileSync(planFile, JSON.stringify({ plan, network: net.network, payer, keys, database: where }), { mode: 0o600 })

let done = 0
let kills = 0
let starts = 0
const errors: string[] = []
const worker = fileURLToPath(new URL('ledger/worker.ts', import.meta.url))
const isDone = () => done >= moves || errors.length > 0

/** Runs workers of a replica one after the other, each until it is killed after some moves: in the midst of the next one. */
async function keepKilling(replica: string): Promise<void> {
  while (!isDone()) {
    starts += 1
    const args = ['--conditions=source', worker, planFile, String(seed + starts), replica]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let left = 1 + Math.floor((random() * moves) / 6)
    child.stdout.on('data', (text: Buffer) => {
      done += text.length
      left -= text.length
      if (left <= 0 || isDone()) child.kill('SIGKILL')
    })
    child.stderr.on('data', (text: Buffer) => errors.push(text.toString().slice(0, 2000)))
    const [code] = await once(child, 'exit')
    if (code === null) kills += 1
    else errors.push(`a worker ended by itself with ${code}`)
  }
}

let deposited = 0n
async function keepDepositing(): Promise<void> {
  const { lilyToken: token } = net.network.contracts
  while (!isDone()) {
    const { deposit: to } = plan.accounts[Math.floor(random() * plan.accounts.length)] ?? {}
    const amount = BigInt(1 + Math.floor(random() * 10_000))
    // A sweep that comes between may make it dearer than its gas was reckoned: then nothing was sent.
    const sent = to && (await sendCallSync(net.deployer, transferCall({ token, to, amount })).catch(() => undefined))
    if (sent) deposited += amount
    if (random() < 0.5) await anvil.mine({ blocks: 1 })
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
await Promise.all([...sharing.map(keepKilling), keepDepositing()])
const { database, close } = await openDatabase(where)
await finish(database, chain, plan, replicas, deposited)
await anvil.mine({ blocks: 3 })
const wrong = [...errors, ...(await finish(database, chain, plan, replicas, deposited))]
const report = await checkLedger(database, chain)
const { faults, balances, jobs } = report
const seconds = Math.round((performance.now() - startedAt) / 1000)
const facts = {
  moves: done,
  kills,
  seed,
  seconds,
  balances: String(balances),
  jobs: String(jobs),
  deposits: String(deposited),
}
process.stdout.write(
  `${JSON.stringify({ ...facts, database: server === undefined ? 'embedded' : 'server', wrong, faults })}\n`,
)
await close()
await net.close()
rmSync(folder, { recursive: true, force: true })
process.exit(wrong.length + faults.length === 0 && kills > 0 ? 0 : 1)
