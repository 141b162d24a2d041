import { useQuery } from '@tanstack/react-query'
import { Link, Outlet, useLocation } from '@tanstack/react-router'
import { Moon, Sun, SunMoon } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { accountQuery, networkQuery, readinessQuery } from '../gateway/queries.ts'
import { formatAmount } from '../money/format-price.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import styles from './app-frame.module.css'
import { applyTheme, readTheme, themes } from './theme.ts'

const pages = [
  { to: '/', label: 'Models' },
  { to: '/playground', label: 'Playground' },
  { to: '/connect', label: 'Use it' },
  { to: '/account', label: 'Account' },
] as const

/** Head and frame around every page. */
export function AppFrame() {
  const main = useRef<HTMLElement>(null)
  const { pathname } = useLocation()
  const before = useRef(pathname)
  // Who came to another page by keys goes on from its beginning.
  useEffect(() => {
    if (before.current === pathname) return
    before.current = pathname
    main.current?.focus()
    scrollTo(0, 0)
  }, [pathname])

  return (
    <>
      {/* A link to #main would be a route here. */}
      <button type="button" className={styles.skip} onClick={() => main.current?.focus()}>
        Skip to content
      </button>
      <header className={styles.header}>
        <div className={styles.bar}>
          <Link to="/" className={styles.brand}>
            <Mark />
            Lilypad
          </Link>
          <nav className={styles.nav} aria-label="Pages">
            {pages.map(({ to, label }) => (
              <Link key={to} to={to} className={styles.link} activeOptions={{ exact: true, includeSearch: false }}>
                {label}
              </Link>
            ))}
          </nav>
          <div className={styles.right}>
            <Balance />
            <NetworkState />
            <ThemeButton />
          </div>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1} className={styles.main}>
        <Outlet />
      </main>
      <footer className={styles.footer}>
        <NetworkLine />
      </footer>
    </>
  )
}

function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
      <path fill="currentColor" d="M16 2a14 14 0 1 0 13.4 9.9L16 16 22.6 3.6A14 14 0 0 0 16 2Z" />
      <circle cx="11" cy="18.5" r="2.6" className={styles.bud} />
    </svg>
  )
}

function NetworkState() {
  const { data: network } = useQuery(networkQuery)
  const { data: ready, isPending } = useQuery(readinessQuery)
  const state = isPending ? 'unknown' : !ready ? 'down' : ready.status === 'ready' ? 'ready' : 'degraded'
  const words = {
    unknown: 'Asking…',
    ready: 'Ready',
    degraded: ready && !ready.network ? 'Network unreachable' : 'Not ready',
    down: 'Gateway unreachable',
  }[state]
  return (
    <div className={styles.network} data-state={state}>
      <span className={styles.dot} aria-hidden />
      {network ? (
        <span>
          {network.name} <span className={styles.chain}>chain {network.chain_id}</span>
        </span>
      ) : null}
      <span role="status" className={state === 'ready' ? 'visually-hidden' : undefined}>
        {words}
      </span>
    </div>
  )
}

function Balance() {
  const { data } = useQuery(accountQuery(useSession()))
  if (!data) return null
  return (
    <Link to="/account" className={styles.balance}>
      <span className="visually-hidden">Available: </span>
      {formatAmount(data.available)} LILY
    </Link>
  )
}

function NetworkLine() {
  const { data: network } = useQuery(networkQuery)
  if (!network) return null
  return (
    <p>
      Network {network.name}, chain {network.chain_id}, vault <code>{network.vault}</code>
    </p>
  )
}

const themeIcons = { auto: SunMoon, light: Sun, dark: Moon }
const themeNames = { auto: 'as the system', light: 'light', dark: 'dark' }

function ThemeButton() {
  const [theme, setTheme] = useState(readTheme)
  const Icon = themeIcons[theme]
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'auto'
  return (
    <Button
      look="quiet"
      size="s"
      aria-label={`Theme: ${themeNames[theme]}. Change to ${themeNames[next]}`}
      title={`Theme: ${themeNames[theme]}`}
      onClick={() => {
        applyTheme(next)
        setTheme(next)
      }}
    >
      <Icon size={17} aria-hidden />
    </Button>
  )
}
