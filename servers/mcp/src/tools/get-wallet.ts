import { zeroAddress } from '@lilypad-agents/protocol'
import { SpendingStoppedError } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { ownCommand } from '../commands/own-command.ts'
import { maySpend } from '../config/config.ts'
import { Amount, currencyShape, formatAmount, tokenSymbol, withToken } from '../money/token.ts'
import { tellLimits } from '../money/limits.ts'
import { defineTool } from '../tool/define-tool.ts'

const Limits = z.object({
  per_job: Amount,
  per_day: Amount,
  total: Amount,
  per_session: Amount.optional(),
  jobs_per_hour: z.int().optional(),
  concurrent: z.int().optional(),
  auto_approve_under: Amount.optional(),
})

/** Shows what may be spent. */
export const getWallet = defineTool({
  name: 'lilypad_get_wallet',
  title: 'Get wallet',
  description:
    'See who pays, the balance that pays jobs, what was spent here and the limits. Use it before a costly job or after a refusal. Free.',
  input: z.strictObject({}),
  output: z.object({
    summary: z.string(),
    mode: z.enum(['spending', 'read-only']),
    network: z.string(),
    ...currencyShape,
    payer: z.string().optional(),
    key: z.string().optional(),
    vault_balance: Amount.optional().describe('pays jobs'),
    pending_withdrawal: Amount.optional(),
    guardian: z.string().nullable().optional().describe('solver that consents to payments; null: none'),
    token_balance: Amount.optional().describe('not in the vault'),
    spent: z.object({ session: Amount, last_24h: Amount, total: Amount }).optional().describe('with what is reserved'),
    left: Amount.optional(),
    limits: Limits.optional(),
    approval: z.string().optional().describe('how the user approves'),
    stopped: z.string().nullable().optional().describe('why spending is stopped'),
    allowed_modules: z.array(z.string()).nullable().describe('null: all'),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  example: {},
  async handle(_input, { config, lilypad }) {
    const { name, chainId } = lilypad.network
    const common = {
      network: name,
      token: tokenSymbol,
      chain_id: chainId,
      allowed_modules: config.policy.modules ? [...config.policy.modules] : null,
    }
    if (!config.signer) {
      return {
        result: {
          summary:
            'Read-only: this server has no key, so it cannot spend. The user can start it with --key-file, without --mode read-only.',
          mode: 'read-only' as const,
          ...common,
        },
      }
    }
    const { payer, key, balance, pendingWithdrawal, guardian, tokenBalance, spent, left, breaker, policy } =
      await lilypad.getWallet()
    const stop = breaker.stopped && new SpendingStoppedError(breaker)
    const isSpending = maySpend(config)
    const may = !isSpending
      ? 'this server was started with --read-only: it spends nothing'
      : stop
        ? `nothing may be spent until the user runs \`${ownCommand(config, 'resume')}\` in a terminal`
        : `${withToken(left)} may still be spent now, at most ${withToken(policy.perJob)} per job`
    return {
      result: {
        summary: `${withToken(balance)} in the vault; ${withToken(spent.day)} spent or reserved in 24 hours; ${may}.`,
        mode: isSpending ? ('spending' as const) : ('read-only' as const),
        ...common,
        payer,
        key,
        vault_balance: formatAmount(balance),
        pending_withdrawal: formatAmount(pendingWithdrawal),
        guardian: guardian === zeroAddress ? null : guardian,
        token_balance: formatAmount(tokenBalance),
        spent: {
          session: formatAmount(spent.session),
          last_24h: formatAmount(spent.day),
          total: formatAmount(spent.total),
        },
        left: formatAmount(left),
        limits: tellLimits(policy),
        approval: config.approval ?? 'elicit',
        stopped: stop ? stop.details.join() : null,
      },
    }
  },
})
