import { createSigner } from '@lilypad-agents/protocol'
import { findEarnings } from '@lilypad-agents/provider'
import { createChainClient, formatTokenAmount, getCredit, toLilypadChain, withdrawCredit } from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile } from '@lilypad-agents/sdk/node'
import type { Printer } from '../output/printer.ts'

type ProviderFiles = { readonly stateDirectory: string; readonly networkFile: string; readonly keyFile: string }

const lily = (amount: bigint) => `${formatTokenAmount(amount)} LILY`

function openProvider({ networkFile, keyFile }: ProviderFiles) {
  const network = readNetworkFile(networkFile)
  const privateKey = readKeyFile(keyFile)
  const chain = toLilypadChain(network)
  const account = createSigner(privateKey).address
  return { chain, account, token: network.contracts.lilyToken, client: createChainClient({ chain, privateKey }) }
}

/** Shows what a provider has run and earned, running or not, and the credit it may withdraw. */
export async function showEarnings(files: ProviderFiles, printer: Printer): Promise<void> {
  const { client, account, token } = openProvider(files)
  const stored = findEarnings({ stateDir: files.stateDirectory })
  const credit = await getCredit(client, { account, token })
  printer.result({ provider: account, credit, ...stored }, [
    `  Provider      ${account}`,
    ...(stored
      ? [
          `  Settled       ${stored.earnings.settledJobs} jobs for ${lily(stored.earnings.settled)}, before the shares of author, solver and protocol`,
          `  Not settled   ${stored.earnings.unsettledJobs} jobs for ${lily(stored.earnings.unsettled)}`,
        ]
      : ['  Jobs          none yet']),
    `  To withdraw   ${lily(credit)}   (lilypad provider withdraw)`,
  ])
}

/** Pays the provider's credit out to its own account. */
export async function withdrawEarnings(files: ProviderFiles, printer: Printer): Promise<void> {
  const { client, account, token } = openProvider(files)
  const amount = await getCredit(client, { account, token })
  if (amount === 0n) return printer.result({ withdrawn: 0n, transaction: null }, ['  there is nothing to withdraw'])
  const {
    receipt: { transactionHash },
  } = await withdrawCredit.sync(client, { token })
  printer.result({ withdrawn: amount, transaction: transactionHash }, [`  ${lily(amount)} in ${transactionHash}`])
}
