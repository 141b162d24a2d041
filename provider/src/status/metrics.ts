import { formatTokenAmount } from '@lilypad-agents/sdk'
import type { ProviderStatus } from '../earnings/provider-status.ts'

type Labels = Readonly<Record<string, string>>
type Sample = { readonly labels?: Labels; readonly value: number }

/** Content type of the text format that Prometheus reads. */
export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

/** A provider's numbers in the text format of Prometheus. Amounts are LILY and ether. */
export function renderMetrics(status: ProviderStatus): string {
  const { jobs, slots, servers, earnings, claims, money, unpaid } = status
  const lines: string[] = []
  const gauge = (name: string, help: string, samples: readonly Sample[] | number) => {
    lines.push(`# HELP lilypad_provider_${name} ${help}`, `# TYPE lilypad_provider_${name} gauge`)
    for (const { labels = {}, value } of typeof samples === 'number' ? [{ value: samples }] : samples)
      lines.push(`lilypad_provider_${name}${renderLabels(labels)} ${value}`)
  }
  gauge('info', 'The provider and its executors.', [
    {
      labels: {
        address: status.address,
        executors: status.executors
          .filter(({ available }) => available)
          .map(({ name }) => name)
          .join(','),
      },
      value: 1,
    },
  ])
  gauge('start_time_seconds', 'When the process started, in Unix seconds.', status.startedAt)
  gauge('connected', 'Whether the solver is connected.', Number(status.isConnected))
  gauge('modules', 'Modules on offer.', status.modules.length)
  if (status.attestation) {
    gauge(
      'attestation_until_seconds',
      'When the attestation of the sandbox ends, in Unix seconds.',
      status.attestation.validUntil,
    )
    gauge(
      'attestation_missed_checks',
      'Required checks of the sandbox that did not hold.',
      status.attestation.missed.length,
    )
  }
  gauge('slots', 'Jobs that can run at the same time.', slots.total)
  gauge('slots_taken', 'Jobs that run now.', slots.taken)
  gauge('slots_waiting', 'Jobs that wait for a slot.', slots.waiting)
  gauge('model_servers', 'Model servers that run.', servers.running.length)
  gauge('model_servers_waiting', 'Jobs that wait for a model server.', servers.waiting)
  gauge(
    'jobs',
    'Jobs in the journal by phase.',
    Object.entries(jobs).map(([phase, value]) => ({ labels: { phase }, value })),
  )
  gauge('settled_jobs', 'Jobs that the chain has.', earnings.settledJobs)
  gauge('settled_lily', 'LILY that the chain has settled, before the shares of others.', lily(earnings.settled))
  gauge('unsettled_jobs', 'Acknowledged jobs that the chain does not have.', earnings.unsettledJobs)
  gauge('unsettled_lily', 'LILY of acknowledged jobs that the chain does not have.', lily(earnings.unsettled))
  gauge('unacknowledged_jobs', 'Delivered jobs that nobody has acknowledged or claimed.', unpaid.jobs)
  gauge('unacknowledged_lily', 'LILY of delivered jobs that nobody has acknowledged or claimed.', lily(unpaid.amount))
  const states = Object.entries(claims)
  gauge(
    'claims',
    'Claims by state.',
    states.map(([state, { jobs: value }]) => ({ labels: { state }, value })),
  )
  gauge(
    'claims_lily',
    'LILY of claims by state.',
    states.map(([state, { amount }]) => ({ labels: { state }, value: lily(amount) })),
  )
  if (money) {
    gauge('credit_lily', 'LILY that can be withdrawn.', lily(money.credit))
    gauge('stake_lily', 'Stake of the provider.', [
      { labels: { part: 'active' }, value: lily(money.stake.active) },
      { labels: { part: 'exposure' }, value: lily(money.stake.exposure) },
      { labels: { part: 'free' }, value: lily(money.stake.free) },
    ])
    gauge('ether', 'Ether for gas.', lily(money.ether))
    gauge('gas_price_wei', 'Price of gas.', Number(money.gasPrice))
  }
  gauge(
    'warnings',
    'What an operator should mend.',
    status.warnings.map(({ code }) => ({ labels: { code }, value: 1 })),
  )
  return `${lines.join('\n')}\n`
}

/** LILY and ether both have 18 decimals. A number is exact enough for a graph. */
const lily = (amount: bigint) => Number(formatTokenAmount(amount))

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  )
  return pairs.length > 0 ? `{${pairs.join(',')}}` : ''
}
