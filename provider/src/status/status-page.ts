import { findMissedFault } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import type { ProviderStatus } from '../earnings/provider-status.ts'
import { describeSandbox } from '../preflight/find-sandbox.ts'

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text of anybody, safe inside an element or a quoted attribute; cut. */
export function escapeHtml(text: string, length = 200): string {
  return text.slice(0, length).replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')
}

const lily = (amount: bigint) => `${shortAmount(amount)} LILY`
/** Six decimals are enough to look at. */
const shortAmount = (amount: bigint) => formatTokenAmount(amount).replace(/(\.\d{6})\d+$/, '$1')
const time = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')

const style = `
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--good:#18794e;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--good:#4cc38a;--bad:#ff9592}}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;margin:0}h2{font-size:1rem;margin:2rem 0 .5rem}
.sub{opacity:.7;font-family:ui-monospace,monospace;font-size:.85rem;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.75rem;margin-top:1.25rem}
.tile{background:var(--soft);border-radius:.5rem;padding:.6rem .8rem}
.tile b{display:block;font-size:1.15rem;font-variant-numeric:tabular-nums}.tile span{opacity:.7;font-size:.8rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{text-align:left;padding:.3rem .5rem;border-bottom:1px solid var(--line)}
td.n{text-align:right;font-variant-numeric:tabular-nums}td.id{font-family:ui-monospace,monospace;font-size:.8rem}
.warning{border-left:3px solid var(--bad);padding:.3rem .8rem;margin:.5rem 0;background:var(--soft)}
.up{color:var(--good)}.down{color:var(--bad)}.scroll{overflow-x:auto}
`

/** A provider at a glance for its operator: one page that needs nothing else and loads itself again. */
export function renderStatusPage(status: ProviderStatus, now: number): string {
  const { earnings, slots, servers, jobs, claims, money, unpaid } = status
  const claimed = (['claiming', 'claimed', 'disputed', 'withdrawing'] as const).reduce(
    (sum, state) => ({
      jobs: sum.jobs + (claims[state]?.jobs ?? 0),
      amount: sum.amount + (claims[state]?.amount ?? 0n),
    }),
    { jobs: 0, amount: 0n },
  )
  const tiles: readonly (readonly [string, string])[] = [
    ['Settled', `${lily(earnings.settled)}`],
    ['To withdraw', money ? lily(money.credit) : 'chain does not answer'],
    [`Acknowledged, ${earnings.unsettledJobs} jobs`, lily(earnings.unsettled)],
    [`Not acknowledged, ${unpaid.jobs} jobs`, lily(unpaid.amount)],
    [`In claims, ${claimed.jobs} jobs`, lily(claimed.amount)],
    ['Slots taken', `${slots.taken} of ${slots.total}${slots.waiting > 0 ? `, ${slots.waiting} waiting` : ''}`],
    [
      `Model servers${servers.waiting > 0 ? `, ${servers.waiting} jobs waiting` : ''}`,
      servers.running.map(({ module, openRequests }) => `${module} (${openRequests})`).join(', ') || 'none',
    ],
    ['Stake free', money ? `${lily(money.stake.free)}` : '?'],
    ['Stake bound to jobs', money ? lily(money.stake.exposure) : '?'],
    ['Ether for gas', money ? shortAmount(money.ether) : '?'],
  ]
  const connection = status.isConnected
    ? '<span class="up">connected to the solver</span>'
    : '<span class="down">not connected to the solver</span>'
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="10"><title>Lilypad provider</title><style>${style}</style></head><body>
<h1>Lilypad provider, ${connection}</h1>
<div class="sub">${escapeHtml(status.address)} · up since ${time(status.startedAt)} · ${time(now)} UTC</div>
${status.warnings.map(({ text, hint }) => `<div class="warning">${escapeHtml(text, 400)} ${escapeHtml(capitalized(hint), 400)}.</div>`).join('\n')}
<div class="tiles">${tiles.map(([name, value]) => `<div class="tile"><b>${escapeHtml(value)}</b><span>${escapeHtml(name)}</span></div>`).join('')}</div>
<h2>Jobs</h2>
<p>${Object.entries(jobs)
    .map(([phase, count]) => `${count} ${phase}`)
    .join(' · ')}</p>
${table(
  ['Accepted', 'Module', 'Phase', 'Price', 'Job'],
  status.recent.map(({ acceptedAt, module, phase, price, maxPrice, orderHash }) => [
    time(acceptedAt),
    module ?? '?',
    phase,
    price === undefined ? `at most ${lily(maxPrice)}` : lily(price),
    `${orderHash.slice(0, 14)}…`,
  ]),
)}
<h2>Settlements</h2>
${table(
  ['Sent', 'Jobs', 'Lanes', 'Block', 'Transaction'],
  status.settlements.map(({ sentAt, jobs: settled, lanes, blockNumber, transaction }) => [
    time(sentAt),
    String(settled),
    String(lanes),
    blockNumber === undefined ? 'not yet' : String(blockNumber),
    `${transaction.slice(0, 14)}…`,
  ]),
)}
<h2>Modules</h2>
${table(
  ['Module', 'Version', 'Executor'],
  status.modules.map(({ name, version, executor }) => [name, version, executor]),
)}
<h2>Executors</h2>
${table(
  ['Executor', 'State'],
  status.executors.map(({ name, available, reason }) => [
    name,
    available ? 'available' : `not available: ${reason ?? ''}`,
  ]),
)}
${status.attestation === undefined ? '' : `<h2>Sandbox</h2>\n<p>${escapeHtml(describeSandbox({ ...status.attestation, fault: findMissedFault(status.attestation.missed) }), 600)}</p>`}
<p class="sub"><a href="/metrics">metrics</a> · <a href="/status.json">json</a></p>
</body></html>
`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '<p>none yet</p>'
  const cells = (row: readonly string[]) => row.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')
  return `<div class="scroll"><table><tr>${head.map((name) => `<th>${name}</th>`).join('')}</tr>${rows.map((row) => `<tr>${cells(row)}</tr>`).join('')}</table></div>`
}

const capitalized = (text: string) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
