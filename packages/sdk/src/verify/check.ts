/** One thing that was checked: what, whether it holds, and what was compared. */
export type Check = { readonly name: string; readonly ok: boolean; readonly evidence: string }

/** All checks of a job. `ok` only when every one holds. */
export type Verification = { readonly ok: boolean; readonly checks: readonly Check[] }

/** Sums up checks. */
export function toVerification(checks: readonly Check[]): Verification {
  return { ok: checks.length > 0 && checks.every((check) => check.ok), checks }
}
