import { type Address, createSigner, LilypadError, zeroAddress } from '@lilypad-agents/protocol'
import {
  approveCall,
  cancelWithdraw,
  type ChainClient,
  createChainClient,
  createSolverClient,
  deposit,
  type ContractCall,
  finalizeGuardian,
  finalizeWithdraw,
  formatTokenAmount,
  getAccount,
  getTokenBalance,
  type Lilypad,
  parseTokenAmount,
  requestWithdraw,
  revokeGrant,
  sendCallSync,
  setGuardian,
  signingDomain,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile } from '@lilypad-agents/sdk/node'
import type { StateDirectory } from '../local/state-directory.ts'
import type { Printer } from '../output/printer.ts'

type Guardianship = {
  readonly guardian: Address
  readonly nextGuardian: Address
  readonly guardianChangesAt: number
}

const nameOf = (guardian: Address) => (guardian === zeroAddress ? 'none' : guardian)

/** Who has to consent to what leaves the account, and what is about to change about that. */
function guardianText({ guardian, nextGuardian, guardianChangesAt }: Guardianship): string {
  if (guardianChangesAt === 0) return nameOf(guardian)
  return `${nameOf(guardian)}; ${nameOf(nextGuardian)} from ${new Date(guardianChangesAt * 1000).toISOString()}`
}

/** Shows balances and limits of the wallet at this terminal. */
export async function showWallet(lilypad: Lilypad, printer: Printer): Promise<void> {
  const wallet = await lilypad.getWallet()
  const { policy, spent } = wallet
  const lily = (amount: bigint) => `${formatTokenAmount(amount)} LILY`
  const withdrawal =
    wallet.pendingWithdrawal > 0n
      ? [
          `  Withdrawing   ${lily(wallet.pendingWithdrawal)}, from ${new Date(Number(wallet.withdrawableAt) * 1000).toISOString()}`,
        ]
      : []
  printer.result(wallet, [
    `  Payer         ${wallet.payer} on chain ${wallet.chainId}`,
    `  Session key   ${wallet.key}`,
    `  In the vault  ${lily(wallet.balance)}`,
    ...withdrawal,
    `  Guardian      ${guardianText(wallet)}`,
    `  In the wallet ${lily(wallet.tokenBalance)}`,
    `  Spent         ${lily(spent.day)} in the last day, ${lily(spent.total)} in all`,
    `  Limits        ${lily(policy.perJob)} a job, ${lily(policy.perDay)} a day, ${lily(policy.total)} in all`,
  ])
}

/** What the owner of the money can do, each in transactions sent with the payer's own key. */
export type WalletMove =
  | { readonly kind: 'deposit'; readonly amount: string; readonly withoutGuardian: boolean }
  | { readonly kind: 'withdraw'; readonly amount: string }
  | { readonly kind: 'finalize-withdraw' | 'cancel-withdraw' | 'revoke-session' }

/** A payer at this terminal, who can send. */
type Payer = {
  readonly client: ChainClient
  readonly address: Address
  readonly token: Address
  readonly solverUrl: string
}

function openPayer(state: StateDirectory, networkFile: string): Payer {
  const network = readNetworkFile(networkFile)
  const privateKey = readKeyFile(state.keyFile('requester'))
  return {
    client: createChainClient({ chain: toLilypadChain(network), privateKey }),
    address: createSigner(privateKey).address,
    token: network.contracts.lilyToken,
    solverUrl: network.solverUrl,
  }
}

async function sendAll(client: ChainClient, calls: readonly ContractCall[]): Promise<readonly string[]> {
  const transactions: string[] = []
  for (const call of calls) transactions.push((await sendCallSync(client, call)).transactionHash)
  return transactions
}

/** Moves the payer's money, or ends the session key's authority. The payer needs ether for gas. */
export async function moveWallet(
  state: StateDirectory,
  networkFile: string,
  move: WalletMove,
  printer: Printer,
): Promise<void> {
  const payer = openPayer(state, networkFile)
  const { client, token, address } = payer
  const { chain } = client
  if (move.kind === 'deposit') return depositMoney(payer, move, printer)
  const calls = () => {
    switch (move.kind) {
      case 'withdraw':
        return [requestWithdraw.call(chain, { token, amount: parseTokenAmount(move.amount) })]
      case 'finalize-withdraw':
        return [finalizeWithdraw.call(chain, { token, receiver: address })]
      case 'cancel-withdraw':
        return [cancelWithdraw.call(chain, { token })]
      case 'revoke-session':
        return [
          revokeGrant.call(chain, {
            key: createSigner(readKeyFile(state.keyFile('session'))).address,
            token,
            upToNonce: 2n ** 63n,
          }),
        ]
    }
  }
  const transactions = await sendAll(client, calls())
  printer.result({ done: move.kind, transactions }, [`  ${move.kind}: ${transactions.join(', ')}`])
}

async function depositMoney(
  payer: Payer,
  move: Extract<WalletMove, { kind: 'deposit' }>,
  printer: Printer,
): Promise<void> {
  const { client, token, address } = payer
  const { chain } = client
  const amount = parseTokenAmount(move.amount)
  const held = await getTokenBalance(client, { token, account: address })
  if (held < amount) {
    throw new LilypadError('INSUFFICIENT_BALANCE', 'The wallet holds less than the deposit.', {
      details: [`Wanted: ${move.amount} LILY   In the wallet: ${formatTokenAmount(held)} LILY`],
      hint: 'deposit what the wallet holds, or send LILY to it first',
    })
  }
  const account = await getAccount(client, { payer: address, token })
  const mayName = account.guardian === zeroAddress && !move.withoutGuardian
  const guardian = mayName ? await findSolver(payer) : account.guardian
  const transactions = await sendAll(client, [
    approveCall({ token, spender: chain.contracts.jobVault.address, amount }),
    deposit.call(chain, { token, amount, beneficiary: address }),
    ...(mayName ? [setGuardian.call(chain, { token, guardian })] : []),
  ])
  printer.result({ done: move.kind, transactions, guardian: guardian === zeroAddress ? null : guardian }, [
    `  deposit: ${transactions.join(', ')}`,
    ...(mayName
      ? [
          `  The solver ${guardian} is the guardian of the account now: providers trust its money, and without its consent nothing`,
          '  leaves before the withdraw delay. `lilypad wallet guardian --clear` ends that; `--no-guardian` does not begin it.',
        ]
      : [`  Guardian: ${nameOf(guardian)}`]),
  ])
}

/** The solver that answers for the network, if it serves the same chain and vault. */
async function findSolver({ client, solverUrl }: Payer): Promise<Address> {
  const { chain } = client
  const { chainId, jobVault, solver } = await createSolverClient({
    url: solverUrl,
    domain: signingDomain(chain),
  }).getNetwork()
  if (chainId === chain.id && jobVault === chain.contracts.jobVault.address.toLowerCase()) return solver
  throw new LilypadError('WRONG_CHAIN', 'The solver of the network file serves another chain or vault.', {
    details: [`Expected: ${chain.id} ${chain.contracts.jobVault.address}   Actual: ${chainId} ${jobVault}`],
    hint: 'correct the network file, or deposit with --no-guardian',
  })
}

/** What to do about the guardian of the payer's account; `set` without an address names the network's solver. */
export type GuardianMove =
  | { readonly kind: 'show' | 'clear' | 'finalize' }
  | { readonly kind: 'set'; readonly guardian: Address | undefined }

/** Shows or changes who has to consent to what leaves the payer's account. The first guardian counts at once, a change after the withdraw delay. */
export async function changeGuardian(
  state: StateDirectory,
  networkFile: string,
  move: GuardianMove,
  printer: Printer,
): Promise<void> {
  const payer = openPayer(state, networkFile)
  const { client, token, address } = payer
  const { chain } = client
  const calls = async (): Promise<readonly ContractCall[]> => {
    switch (move.kind) {
      case 'show':
        return []
      case 'set':
        return [setGuardian.call(chain, { token, guardian: move.guardian ?? (await findSolver(payer)) })]
      case 'clear':
        return [setGuardian.call(chain, { token, guardian: zeroAddress })]
      case 'finalize':
        return [finalizeGuardian.call(chain, { payer: address, token })]
    }
  }
  const transactions = await sendAll(client, await calls())
  const { guardian, nextGuardian, guardianChangesAt } = await getAccount(client, { payer: address, token })
  const account = { guardian, nextGuardian, guardianChangesAt }
  printer.result({ payer: address, ...account, transactions }, [
    ...(transactions.length > 0 ? [`  guardian: ${transactions.join(', ')}`] : []),
    `  Guardian      ${guardianText(account)}`,
    ...(guardianChangesAt === 0 ? [] : ['  Then `lilypad wallet guardian --finalize` puts the change into force.']),
  ])
}
