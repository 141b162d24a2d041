import { readFileSync } from 'node:fs'
import process from 'node:process'
import { createSigner, type Hex } from '@lilypad-agents/protocol'
import { openDatabase } from '../../src/db/open-database.ts'
import { createDepositChain } from '../../src/deposits/deposit-chain.ts'
import { createRandom, move, type Plan, recover } from './moves.ts'

// One process of the gateway's account layer: goes on where it was killed, moves money at random, and says how far it is.
const { plan, network, payer, keys, database: where } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'))
const seed = Number(process.argv[3])
const replicas = (process.argv[4] ?? '').split(',')
const { database } = await openDatabase(where)
await Promise.all(
  replicas.map(async (replica, index) => {
    await recover(database, plan as Plan, replica)
    const signer = createSigner(keys[replica] as Hex)
    const context = { database, chain: createDepositChain({ network, signer, payer }), plan: plan as Plan, replica }
    const random = createRandom(seed * 31 + index + 1)
    for (;;) {
      await move(context, random)
      process.stdout.write('.')
    }
  }),
)
