import { createSigner, LilypadError } from '@lilypad-agents/protocol'
import {
  approveCall,
  cancelWithdraw,
  createChainClient,
  deposit,
  finalizeWithdraw,
  formatTokenAmount,
  getTokenBalance,
  type Lilypad,
  parseTokenAmount,
  requestWithdraw,
  revokeGrant,
  sendCallSync,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile } from '@lilypad-agents/sdk/node'
import type { StateDirectory } from '../local/state-directory.ts'
import type { Printer } from '../output/printer.ts'

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
    `  In the wallet ${lily(wallet.tokenBalance)}`,
    `  Spent         ${lily(spent.day)} in the last day, ${lily(spent.total)} in all`,
    `  Limits        ${lily(policy.perJob)} a job, ${lily(policy.perDay)} a day, ${lily(policy.total)} in all`,
  ])
}

/** What the owner of the money can do; each is one transaction sent with the payer's own key. */
export type WalletMove =
  | { readonly kind: 'deposit' | 'withdraw'; readonly amount: string }
  | { readonly kind: 'finalize-withdraw' | 'cancel-withdraw' | 'revoke-session' }

/** Moves the payer's money, or ends the session key's authority. The payer needs ether for gas. */
export async function moveWallet(
  state: StateDirectory,
  networkFile: string,
  move: WalletMove,
  printer: Printer,
): Promise<void> {
  const network = readNetworkFile(networkFile)
  const chain = toLilypadChain(network)
  const privateKey = readKeyFile(state.keyFile('requester'))
  const payer = createSigner(privateKey).address
  const client = createChainClient({ chain, privateKey })
  const token = network.contracts.lilyToken
  const calls = () => {
    switch (move.kind) {
      case 'deposit': {
        const amount = parseTokenAmount(move.amount)
        return [
          approveCall({ token, spender: network.contracts.jobVault, amount }),
          deposit.call(chain, { token, amount, beneficiary: payer }),
        ]
      }
      case 'withdraw':
        return [requestWithdraw.call(chain, { token, amount: parseTokenAmount(move.amount) })]
      case 'finalize-withdraw':
        return [finalizeWithdraw.call(chain, { token, receiver: payer })]
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
  if (move.kind === 'deposit') {
    const held = await getTokenBalance(client, { token, account: payer })
    if (held < parseTokenAmount(move.amount)) {
      throw new LilypadError('INSUFFICIENT_BALANCE', 'The wallet holds less than the deposit.', {
        details: [`Wanted: ${move.amount} LILY   In the wallet: ${formatTokenAmount(held)} LILY`],
        hint: 'deposit what the wallet holds, or send LILY to it first',
      })
    }
  }
  const transactions: string[] = []
  for (const call of calls()) transactions.push((await sendCallSync(client, call)).transactionHash)
  printer.result({ done: move.kind, transactions }, [`  ${move.kind}: ${transactions.join(', ')}`])
}
