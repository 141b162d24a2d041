import { parseTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'
import type { KeyLimits } from '../account/api-key.ts'

/** A command that changes or reads the accounts. */
export type StateCommand =
  | { readonly name: 'account create'; readonly account: string }
  | { readonly name: 'account credit'; readonly account: string; readonly amount: bigint; readonly reference: string }
  | { readonly name: 'account list' }
  | { readonly name: 'key create'; readonly account: string; readonly label: string; readonly limits: KeyLimits }
  | { readonly name: 'key limit'; readonly id: string; readonly limits: KeyLimits }
  | { readonly name: 'key rotate'; readonly id: string; readonly graceSeconds: number }
  | { readonly name: 'key disable' | 'key enable' | 'key revoke'; readonly id: string }
  | { readonly name: 'key list'; readonly account: string | undefined }
  | { readonly name: 'ledger check' }

export const stateUsage = `  lilypad-gateway account create <name>
  lilypad-gateway account credit <name> <LILY> <reference>   the same reference counts once
  lilypad-gateway account list
  lilypad-gateway key create <account> [--label text] [limits]
  lilypad-gateway key limit <key id> [limits]                in place of all it has
  lilypad-gateway key rotate <key id> [--grace seconds]      a new secret; the old one is good for a day, or so long
  lilypad-gateway key disable|enable|revoke <key id>
  lilypad-gateway key list [account]
  lilypad-gateway ledger check                               accounts against deposits on chain, cards and jobs

Limits of a key
  --budget <LILY>, --day-budget <LILY>, --month-budget <LILY>   most it may spend ever, in a UTC day, in a UTC month
  --requests-per-minute <n>, --models <a,b>, --expires <2027-01-31>
`

/** Flags of keys, as the parser of the command line knows them. */
export const limitFlags = {
  label: 'text',
  budget: 'LILY',
  'day-budget': 'LILY',
  'month-budget': 'LILY',
  models: 'names',
  expires: 'date',
  grace: 'seconds',
} as const

const Amount = z.string().transform((text, context) => {
  try {
    return parseTokenAmount(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'expected a number such as 0.5, with at most 18 decimals' })
    return z.NEVER
  }
})

export const LimitFlags = z.strictObject({
  label: z.string().min(1).max(100).default('key'),
  budget: Amount.optional(),
  'day-budget': Amount.optional(),
  'month-budget': Amount.optional(),
  'requests-per-minute': z.coerce.number<string>().int().min(1).max(1_000_000).optional(),
  models: z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim()))
    .optional(),
  expires: z
    .union([z.iso.date(), z.iso.datetime()], 'expected a date such as 2027-01-31')
    .transform((text) => Math.floor(Date.parse(text) / 1000))
    .optional(),
  grace: z.coerce.number<string>().int().min(0).max(31_536_000).default(86_400),
})

/** Reads a command by its words; undefined when they are none. */
export function readStateCommand(
  [noun = '', verb = '', ...rest]: readonly string[],
  flags: z.output<typeof LimitFlags>,
): StateCommand | undefined {
  const [first, second, third] = rest
  const name = `${noun} ${verb}`
  const { label, grace: graceSeconds, budget, models } = flags
  const limits: KeyLimits = {
    budget,
    dayBudget: flags['day-budget'],
    monthBudget: flags['month-budget'],
    requestsPerMinute: flags['requests-per-minute'],
    models,
    expiresAt: flags.expires,
  }
  switch (rest.length) {
    case 0:
      if (name === 'account list' || name === 'ledger check') return { name }
      return name === 'key list' ? { name, account: undefined } : undefined
    case 1:
      if (first === undefined) return undefined
      if (name === 'account create' || name === 'key list') return { name, account: first }
      if (name === 'key create') return { name, account: first, label, limits }
      if (name === 'key limit') return { name, id: first, limits }
      if (name === 'key rotate') return { name, id: first, graceSeconds }
      if (name === 'key disable' || name === 'key enable' || name === 'key revoke') return { name, id: first }
      return undefined
    case 3:
      if (name !== 'account credit' || first === undefined || second === undefined || third === undefined)
        return undefined
      return { name, account: first, amount: parseTokenAmount(second), reference: third }
    default:
      return undefined
  }
}
