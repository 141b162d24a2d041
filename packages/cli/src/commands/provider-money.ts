import {
  createViemChain,
  describeSandbox,
  findEarnings,
  findNodeMoney,
  findSandbox,
  findWarnings,
  type ProviderConfig,
  type StoredEarnings,
} from '@lilypad-agents/provider'
import {
  formatTokenAmount,
  getCredit,
  getStakeCredit,
  signingDomain,
  toLilypadChain,
  withdrawCredit,
  withdrawStakeCredit,
} from '@lilypad-agents/sdk'
import { plainText, type Printer } from '../output/printer.ts'
import { count, date, lily, line, openProvider } from './provider-account.ts'

/** Shows a provider at a glance, running or not: jobs, money, what to mend. */
export async function showProvider(config: ProviderConfig, printer: Printer): Promise<void> {
  const { client, account, token } = openProvider(config)
  const stored = findEarnings({ stateDir: config.stateDir })
  const money = await findNodeMoney(createViemChain(client), { account, token })
  const domain = signingDomain(toLilypadChain(config.network))
  const sandbox = await findSandbox({ stateDir: config.stateDir, provider: account, domain, now: new Date() })
  const isRunning = stored?.isRunning ?? false
  // Whether it is connected and what it offers is known to the process alone.
  const warnings = findWarnings({ isConnected: true, money, unpaid: stored?.unpaid ?? [], executors: 1, modules: 1 })
  const result = {
    provider: account,
    credit: money?.credit ?? null,
    money: money ?? null,
    warnings,
    sandbox: sandbox ?? null,
  }
  printer.result({ ...result, ...stored }, [
    line('Provider', account),
    line('State', `${config.stateDir}, ${isRunning ? 'running' : 'not running'}`),
    ...(stored ? describeJobs(stored) : [line('Jobs', 'none yet')]),
    ...(sandbox ? [line('Sandbox', plainText(describeSandbox(sandbox), 400))] : []),
    ...(money
      ? [
          line('To withdraw', `${lily(money.credit)}   (lilypad provider withdraw)`),
          line('Stake', `${lily(money.stake.active)}, ${lily(money.stake.free)} of it free`),
          line('Ether', formatTokenAmount(money.ether)),
        ]
      : []),
    ...warnings.flatMap(({ text, hint }) => [`  ! ${text}`, `    ${hint}`]),
  ])
}

function describeJobs({ jobs, earnings, unpaid, report, recent }: StoredEarnings): readonly string[] {
  const claims = Object.entries(report.claims).map(
    ([state, { jobs: count, amount }]) => `${count} ${state} (${lily(amount)})`,
  )
  return [
    line(
      'Jobs',
      Object.entries(jobs)
        .map(([phase, count]) => `${count} ${phase}`)
        .join(', '),
    ),
    line(
      'Settled',
      `${earnings.settledJobs} jobs for ${lily(earnings.settled)}, before the shares of author, solver and protocol`,
    ),
    line('Not settled', `${earnings.unsettledJobs} jobs for ${lily(earnings.unsettled)}`),
    line('Not paid for', `${unpaid.length} delivered jobs for ${lily(unpaid.reduce((sum, price) => sum + price, 0n))}`),
    ...(claims.length > 0 ? [line('Claims', claims.join(', '))] : []),
    ...recent
      .slice(0, 5)
      .map(({ acceptedAt, module = '?', phase, price, maxPrice, orderHash }) =>
        line(
          '',
          `${date(acceptedAt)}  ${plainText(module, 24).padEnd(16)} ${phase.padEnd(12)} ${price === undefined ? `≤ ${lily(maxPrice)}` : lily(price)}  ${orderHash.slice(0, 10)}…`,
        ),
      ),
  ]
}

/** Shows what a provider has earned: by module, by day, by settlement and by claim. */
export async function showEarnings(config: ProviderConfig, days: number, printer: Printer): Promise<void> {
  const { client, account, token } = openProvider(config)
  const stored = findEarnings({ stateDir: config.stateDir, days })
  // What the journal says is shown also while the chain is down.
  const credit = await getCredit(client, { account, token }).catch(() => null)
  const toWithdraw = line(
    'To withdraw',
    credit === null ? 'the chain does not answer' : `${lily(credit)}   (lilypad provider withdraw)`,
  )
  if (stored === undefined) return printer.result({ provider: account, credit }, ['  no job yet', toWithdraw])
  const { report, settlements, earnings } = stored
  const row = (name: string, jobs: number, amount: bigint) =>
    `    ${name.padEnd(26)} ${String(jobs).padStart(6)} jobs  ${lily(amount)}`
  printer.result({ provider: account, credit, earnings, ...report, settlements }, [
    line('Provider', account),
    line(
      'Settled',
      `${earnings.settledJobs} jobs for ${lily(earnings.settled)}, before the shares of author, solver and protocol`,
    ),
    toWithdraw,
    ...(report.modules.length > 0 ? ['  Acknowledged, by module'] : ['  no job acknowledged yet']),
    ...report.modules.map(({ name, moduleVersion, jobs, amount }) =>
      row(name === undefined ? `${moduleVersion.slice(0, 20)}…` : plainText(name, 26), jobs, amount),
    ),
    ...(report.days.length > 0 ? ['  Acknowledged, by day (UTC)'] : []),
    ...report.days.map(({ day, jobs, amount }) => row(day, jobs, amount)),
    ...(Object.keys(report.claims).length > 0 ? ['  Claims'] : []),
    ...Object.entries(report.claims).map(([state, { jobs, amount }]) => row(state, jobs, amount)),
    ...(settlements.length > 0 ? ['  Settlements'] : []),
    ...settlements.map(
      ({ sentAt, jobs, lanes, transaction, blockNumber }) =>
        `    ${date(sentAt)}  ${count(jobs, 'job')} in ${count(lanes, 'lane')}  ${blockNumber === undefined ? 'not in a block' : `block ${blockNumber}`}  ${transaction}`,
    ),
  ])
}

/** Pays out to the provider's own account what it earned, and what the stake vault owes it. */
export async function withdrawEarnings(config: ProviderConfig, printer: Printer): Promise<void> {
  const { client, account, token } = openProvider(config)
  const [credit, stakeCredit] = await Promise.all([
    getCredit(client, { account, token }),
    getStakeCredit(client, { account, token }),
  ])
  const transactions: string[] = []
  if (credit > 0n) transactions.push((await withdrawCredit.sync(client, { token })).receipt.transactionHash)
  if (stakeCredit > 0n) transactions.push((await withdrawStakeCredit.sync(client, { token })).receipt.transactionHash)
  const withdrawn = credit + stakeCredit
  printer.result({ withdrawn, transactions }, [
    withdrawn === 0n ? '  there is nothing to withdraw' : `  ${lily(withdrawn)} in ${transactions.join(', ')}`,
  ])
}
