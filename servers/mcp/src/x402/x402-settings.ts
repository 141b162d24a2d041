import { parseTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'

/** Modules that are sold as paid tools, and how. */
export type SaleConfig = {
  /** With a price in base units, or what the job costs and a margin. */
  readonly modules: readonly { readonly module: string; readonly price?: bigint }[]
  /** What is added to the cost of a job, in hundredths of a percent of it. */
  readonly marginBips: number
  /** Most that unpaid work may have cost in any 24 hours, in base units. */
  readonly maxLoss: bigint
}

/** A server whose tools may be bought, as the owner named it. */
export type PaidServerConfig = { readonly name: string; readonly url: string }

/** The settings of what is bought and sold by x402: a flag each, the variable it falls back to, and what the help says. */
export const x402Settings = {
  'paid-server': {
    env: 'LILYPAD_PAID_SERVERS',
    value: 'name=url',
    help: 'MCP server whose tools may be bought by x402; repeat for more (variable: comma-separated)  [none]',
  },
  sell: {
    env: 'LILYPAD_SELL',
    value: 'module[:LILY]',
    help: 'module that `sell` offers, with its price; repeat for more (variable: comma-separated)  [cost and margin]',
  },
  'sell-margin': { env: 'LILYPAD_SELL_MARGIN', value: 'percent', help: 'added to the cost of a sold job  [10]' },
  'sell-max-loss': {
    env: 'LILYPAD_SELL_MAX_LOSS',
    value: 'LILY',
    help: 'most that jobs may cost whose buyers have not paid yet, or not at all in 24 hours  [1]',
  },
} as const

const SoldModule = z.string().transform((text, context) => {
  const [module = '', price, ...rest] = text.split(':')
  try {
    if (module === '' || rest.length > 0) throw new TypeError('not a module and a price')
    return { module, ...(price === undefined ? {} : { price: parseTokenAmount(price) }) }
  } catch {
    context.addIssue({ code: 'custom', message: 'expected a module, or a module and its price such as tts:0.5' })
    return z.NEVER
  }
})

const localHosts: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

const PaidServer = z.string().transform((text, context): PaidServerConfig => {
  const [, name, given = ''] = /^([a-z0-9][a-z0-9-]{0,31})=(.+)$/.exec(text) ?? []
  const url = URL.canParse(given) ? new URL(given) : undefined
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && localHosts.has(url.hostname))
  // What stands in a URL ends in logs; what is bought in the clear can be read and answered by others.
  if (name === undefined || !url || !isSafe || url.username !== '' || url.password !== '') {
    context.addIssue({
      code: 'custom',
      message:
        'expected name=url such as weather=https://example.com/mcp, without a password; http only on this machine',
    })
    return z.NEVER
  }
  return { name, url: url.href }
})

/** Schemas of the settings, as they are given. */
export const x402Schemas = {
  'paid-server': z
    .array(PaidServer)
    .refine((servers) => new Set(servers.map(({ name }) => name)).size === servers.length, 'two servers of one name')
    .optional(),
  sell: z.array(SoldModule).min(1).optional(),
  'sell-margin': z
    .string()
    .regex(/^\d{1,4}(\.\d{1,2})?$/, 'expected a percentage such as 10 or 2.5')
    .transform((percent) => Math.round(Number(percent) * 100))
    .prefault('10'),
  'sell-max-loss': z
    .string()
    .transform((text, context) => {
      try {
        return parseTokenAmount(text)
      } catch {
        context.addIssue({ code: 'custom', message: 'expected an amount of LILY such as 0.5' })
        return z.NEVER
      }
    })
    .prefault('1'),
}

/** What is sold; undefined when nothing is. */
export function toSale(given: {
  readonly sell?: SaleConfig['modules'] | undefined
  readonly 'sell-margin': number
  readonly 'sell-max-loss': bigint
}): SaleConfig | undefined {
  const { sell, 'sell-margin': marginBips, 'sell-max-loss': maxLoss } = given
  return sell && { modules: sell, marginBips, maxLoss }
}
