import { LilypadError } from '@lilypad-agents/protocol'

/** Decimals of LILY. */
export const lilyDecimals = 18

/**
 * Reads an amount as people write it ("0.5") into base units, exactly.
 * @throws LilypadError INVALID_REQUEST when it is not a plain decimal number or has more decimals than the token
 */
export function parseTokenAmount(text: string, decimals: number = lilyDecimals): bigint {
  const match = /^(\d{1,30})(?:\.(\d+))?$/.exec(text.trim())
  const fraction = match?.[2] ?? ''
  if (!match?.[1] || fraction.length > decimals) {
    throw new LilypadError('INVALID_REQUEST', 'This is not an amount of tokens.', {
      details: [`Amount: ${JSON.stringify(text.slice(0, 60))}`],
      hint: `write a decimal number such as 0.5, with at most ${decimals} decimals`,
    })
  }
  return BigInt(match[1]) * 10n ** BigInt(decimals) + BigInt(fraction.padEnd(decimals, '0') || '0')
}

/** Writes base units as a decimal number, exactly and without trailing zeros. */
export function formatTokenAmount(amount: bigint, decimals: number = lilyDecimals): string {
  const sign = amount < 0n ? '-' : ''
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  return `${sign}${whole}${fraction ? `.${fraction}` : ''}`
}
