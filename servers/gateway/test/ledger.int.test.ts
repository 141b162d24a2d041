import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openDatabase } from '../src/db/open-database.ts'
import { checkLedger } from '../src/ledger/check-ledger.ts'
import { createMemoryChain } from './ledger/memory-chain.ts'
import { createRandom, finish, makePlan, move } from './ledger/moves.ts'

// The long form, on Postgres and with kill -9, is `ledger.slow.ts`.
const folder = mkdtempSync(join(tmpdir(), 'lp-ledger-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('random moves of two replicas come to what plan, chain and providers say', async () => {
  const seed = Date.now() % 1_000_000
  const { chain, send, mine } = createMemoryChain()
  const { database, close } = await openDatabase({})
  const plan = await makePlan(database, chain, { folder, accounts: 4, topUps: 7, credits: 10, jobs: 30 })
  const replicas = ['replica-0', 'replica-1']
  let deposited = 0n
  await Promise.all(
    replicas.map(async (replica, index) => {
      const random = createRandom(seed + index)
      for (let moves = 0; moves < 60; moves += 1) {
        await move({ database, chain, plan, replica }, random)
        if (random() > 0.1) continue
        const { deposit } = plan.accounts[moves % plan.accounts.length] ?? expect.unreachable()
        send(deposit, BigInt(moves + 1))
        deposited += BigInt(moves + 1)
      }
    }),
  )
  await finish(database, chain, plan, replicas, deposited)
  mine(3)
  expect({ seed, wrong: await finish(database, chain, plan, replicas, deposited) }).toEqual({ seed, wrong: [] })
  const report = await checkLedger(database, chain)
  expect(report).toMatchObject({ faults: [], isBalanced: true, deposits: deposited, vault: deposited, reserved: 0n })
  expect(report.balances + report.jobs).toBe(report.operator + report.cards + deposited)
  await close()
})
