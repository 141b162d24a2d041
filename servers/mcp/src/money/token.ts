import { formatTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'

/** Symbol of the token in which everything here is priced. */
export const tokenSymbol = 'LILY'

/** An amount of the token as people write it. */
export const Amount = z.string()

/** What an amount in the same result is denominated in. */
export const currencyShape = { token: z.string(), chain_id: z.int() }

export const formatAmount = (amount: bigint): string => formatTokenAmount(amount)
export const withToken = (amount: bigint): string => `${formatTokenAmount(amount)} ${tokenSymbol}`
