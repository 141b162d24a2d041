/** What a look at one thing came to. `hint` says what to do about it. */
export type DoctorCheck = {
  readonly name: string
  readonly result: 'ok' | 'warning' | 'failed'
  readonly text: string
  readonly hint?: string
}

/** Something to look at. A check that throws has failed with the error's own words. */
export type DoctorStep = { readonly name: string; readonly look: () => Promise<Omit<DoctorCheck, 'name'>> }

export const fine = (text: string) => ({ result: 'ok', text }) as const
export const doubtful = (text: string, hint: string) => ({ result: 'warning', text, hint }) as const
export const bad = (text: string, hint: string) => ({ result: 'failed', text, hint }) as const
