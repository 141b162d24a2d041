import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs'
import { type Address, LilypadError, toLilypadError } from '@lilypad-agents/protocol'
import {
  assertChain,
  assertContracts,
  createChainClient,
  createSolverClient,
  getAccount,
  getGrant,
  type Network,
  signingDomain,
  SpendingStoppedError,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { enforcedPolicy, toPolicy } from '../config/policy.ts'
import { readNetwork } from '../config/read-network.ts'
import { readWallet } from '../config/read-wallet.ts'
import type { GivenSettings } from '../config/settings.ts'
import { withToken } from '../money/token.ts'
import type { Terminal } from './terminal.ts'

/** One thing that was looked at. */
export type Finding = {
  readonly name: string
  readonly ok: boolean
  /** What was found, without secrets. */
  readonly found: string
  /** What to do; only of what is not right. */
  readonly fix?: string
}

const rpcMilliseconds = 5000
const day = 86_400

/** Looks at everything that an order needs, and says of each thing that is not right what to do. Changes nothing but an absent state folder. */
export async function examine(given: GivenSettings): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  async function check<T>(name: string, look: () => Promise<readonly [T, string]>): Promise<T | undefined> {
    try {
      const [value, found] = await look()
      findings.push({ name, ok: true, found })
      return value
    } catch (error) {
      const { shortMessage, details, hint } = toLilypadError(error)
      const found = [shortMessage, ...details].join(' ')
      findings.push({ name, ok: false, found, fix: hint ?? 'tell whoever runs the network' })
      return undefined
    }
  }

  const network = await check('network file', async () => {
    const read = readNetwork(given)
    return [read, `${read.name}, chain ${read.chainId}: ${given.network}`]
  })
  if (network) await checkNetwork(network, check)
  const wallet = await check('key file', async () => {
    if (!network) throw problem('The key cannot be checked without the network.', 'correct the network file first')
    const read = readWallet(given, network)
    return [read, read.signer ? `key ${read.signer.address}` : 'none: this server only reads']
  })
  if (network && wallet?.signer) {
    const { signer, grant } = wallet
    const payer = grant?.grant.payer ?? signer.address
    if (grant) {
      await check('grant', () =>
        checkGrant(network, { payer, key: signer.address, validUntil: grant.grant.validUntil }),
      )
    }
    await check('deposit', async () => {
      const { balance } = await getAccount(open(network), { payer, token: network.contracts.lilyToken })
      if (balance === 0n) throw problem(`The vault holds no LILY of ${payer}.`, `deposit LILY for ${payer}`)
      return [balance, `${withToken(balance)} of ${payer}`]
    })
  }
  await check('state folder', () => checkStateFolder(given['state-dir']))
  await check('limits', async () => {
    const policy = enforcedPolicy({ policy: toPolicy(given), approval: given.approval })
    const { perJob, perDay, total, approveFrom } = policy
    if (perJob > perDay || perDay > total)
      throw problem(
        `One job may cost ${withToken(perJob)}, a day ${withToken(perDay)}, all ${withToken(total)}.`,
        'set --max-per-job, --max-per-day and --max-total so that none is over the next',
      )
    const asked =
      approveFrom === undefined
        ? 'nobody is asked'
        : approveFrom === 0n
          ? 'every order needs approval'
          : `approval from ${withToken(approveFrom)}`
    return [
      policy,
      `${withToken(perJob)} per job, ${withToken(perDay)} a day, ${withToken(total)} ever; ${asked} (${given.approval})`,
    ]
  })
  return findings
}

type Check = <T>(name: string, look: () => Promise<readonly [T, string]>) => Promise<T | undefined>

async function checkNetwork(network: Network, check: Check): Promise<void> {
  const client = open(network)
  const chain = await check('chain', async () => {
    await assertChain(client)
    return [true, `${new URL(network.rpcUrl).host} serves chain ${network.chainId}`]
  })
  if (chain) {
    await check('contracts', async () => {
      const { codeHashes } = network
      if (codeHashes) {
        await assertContracts(client, network)
        return [true, `${Object.keys(codeHashes).length} contracts have the code that the network file names`]
      }
      const code = await client.getCode({ address: network.contracts.jobVault })
      if (!code)
        throw problem(
          `There is no code at ${network.contracts.jobVault}.`,
          'use the network file that belongs to this chain',
        )
      return [true, 'there is code; the network file names no code hashes (`lilypad up` writes them)']
    })
  }
  await check('solver', async () => {
    const solver = createSolverClient({ url: network.solverUrl, domain: signingDomain(toLilypadChain(network)) })
    const { modules } = await solver.listModules({ limit: 1 })
    return [
      true,
      `${new URL(network.solverUrl).host} answers, ${modules.length > 0 ? 'with modules' : 'without modules'}`,
    ]
  })
}

async function checkGrant(
  network: Network,
  { payer, key, validUntil }: { readonly payer: Address; readonly key: Address; readonly validUntil: number },
): Promise<readonly [boolean, string]> {
  const now = Math.floor(Date.now() / 1000)
  const until = new Date(validUntil * 1000).toISOString()
  if (validUntil <= now) throw problem(`The grant ended at ${until}.`, `have ${payer} sign a new grant`)
  const grant = await getGrant(open(network), { payer, key, token: network.contracts.lilyToken })
  if (grant.isKnown && grant.validUntil <= now)
    throw problem('The grant is revoked or has ended on chain.', `have ${payer} sign a new grant`)
  const soon = validUntil < now + 7 * day ? ': renew it soon' : ''
  return [true, `${payer} grants the key until ${until}${soon}`]
}

async function checkStateFolder(path: string): Promise<readonly [boolean, string]> {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    accessSync(path, constants.R_OK | constants.W_OK)
  } catch {
    throw problem(`${path} cannot be written.`, 'name a folder that can be written with --state-dir')
  }
  if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
    throw problem(`${path} can be read by others.`, `chmod 700 ${path}`)
  const isNew = !existsSync(`${path}/client.db`)
  const store = sqliteStore(path)
  try {
    const breaker = await store.transaction((transaction) => transaction.findBreaker())
    if (breaker.stopped)
      throw problem(
        new SpendingStoppedError(breaker).details.join(' '),
        'look at `lilypad-mcp ledger`, then run `lilypad-mcp resume`',
      )
    const jobs = await store.transaction((transaction) =>
      transaction.listLedger().reduce((sum, { count = 1 }) => sum + count, 0),
    )
    return [true, isNew ? `${path}, new` : `${path}, ${jobs} in the ledger`]
  } finally {
    await store.close()
  }
}

const open = (network: Network) =>
  createChainClient({ chain: toLilypadChain(network), timeoutMilliseconds: rpcMilliseconds })

class DoctorError extends LilypadError {
  override readonly name = 'DoctorError'
}
const problem = (text: string, hint: string) => new DoctorError('CONFIG_INVALID', text, { hint })

/** Shows what was found. @returns whether everything is right */
export async function runDoctor(
  given: GivenSettings,
  { terminal, isJson }: { readonly terminal: Pick<Terminal, 'write'>; readonly isJson: boolean },
): Promise<boolean> {
  const findings = await examine(given)
  const ok = findings.every((finding) => finding.ok)
  if (isJson) terminal.write(`${JSON.stringify({ ok, findings }, null, 2)}\n`)
  else
    for (const { name, ok: isRight, found, fix } of findings)
      terminal.write(`${isRight ? 'ok  ' : 'FAIL'} ${name}: ${found}\n${fix ? `     do: ${fix}\n` : ''}`)
  return ok
}
