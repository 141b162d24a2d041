const wholeOf = (text: string) => /^(\d+)(?:\.(\d+))?$/.exec(text)

/** A decimal number times a million, exactly: of a price per token the price per million. */
export function perMillion(amount: string): string {
  const match = wholeOf(amount)
  if (!match) return amount
  const [, whole = '', fraction = ''] = match
  const padded = fraction.padEnd(6, '0')
  const shifted = `${whole}${padded.slice(0, 6)}`.replace(/^0+(?=\d)/, '')
  const rest = padded.slice(6).replace(/0+$/, '')
  return rest ? `${shifted}.${rest}` : shifted
}

/**
 * A decimal number as people read it: grouped, with at most `digits` digits that matter after the point, and never shown as nothing
 * when it is something.
 */
export function formatAmount(amount: string | number, digits = 4): string {
  const value = Number(amount)
  if (!Number.isFinite(value)) return String(amount)
  if (value === 0) return '0'
  const size = Math.floor(Math.log10(Math.abs(value)))
  if (size < -12) return value.toExponential(digits - 2)
  const maximumFractionDigits = Math.min(20, Math.max(size < 0 ? digits - 1 - size : digits, 0))
  return new Intl.NumberFormat('en-US', { maximumFractionDigits }).format(value)
}

/** Dollars, with at least two decimals. */
export function formatUsd(amount: string | number): string {
  const text = formatAmount(amount, 3)
  const [, fraction] = text.split('.')
  return `$${fraction === undefined || fraction.length > 1 ? text : `${text}0`}`
}
