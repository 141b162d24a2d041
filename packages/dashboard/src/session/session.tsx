import { createContext, type ReactNode, useContext, useMemo, useState } from 'react'

/** The key of who uses the page. It is in memory, and in the storage of the tab only when its reader asks for that. */
export type Session = {
  readonly key: string | undefined
  /** Another for each key, to tell their data apart without naming them. */
  readonly number: number
  readonly isRemembered: boolean
  enter(key: string, options: { readonly remember: boolean }): void
  leave(): void
}

const place = 'lilypad.key'
const SessionContext = createContext<Session | undefined>(undefined)

export function SessionProvider({ children }: { readonly children: ReactNode }) {
  const [state, setState] = useState(() => {
    const kept = readKept()
    return { key: kept, number: 0, isRemembered: kept !== undefined }
  })
  const session = useMemo<Session>(
    () => ({
      ...state,
      enter(key, { remember }) {
        keep(remember ? key : undefined)
        setState(({ number }) => ({ key, number: number + 1, isRemembered: remember }))
      },
      leave() {
        keep(undefined)
        setState(({ number }) => ({ key: undefined, number: number + 1, isRemembered: false }))
      },
    }),
    [state],
  )
  return <SessionContext value={session}>{children}</SessionContext>
}

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (!session) throw new Error('useSession outside of SessionProvider')
  return session
}

// A browser that keeps no storage for the page still has its memory.
function readKept(): string | undefined {
  try {
    return sessionStorage.getItem(place) ?? undefined
  } catch {
    return undefined
  }
}

function keep(key: string | undefined): void {
  try {
    if (key === undefined) sessionStorage.removeItem(place)
    else sessionStorage.setItem(place, key)
  } catch {
    // Then it is in memory alone.
  }
}
