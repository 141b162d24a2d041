/** UTC days and months since 1970-01, of a time in Unix seconds: what a budget for a day or a month is counted by. */
export type Windows = { readonly day: number; readonly month: number }

export function windowsOf(now: number): Windows {
  const date = new Date(now * 1000)
  return { day: Math.floor(now / 86_400), month: (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth() }
}
