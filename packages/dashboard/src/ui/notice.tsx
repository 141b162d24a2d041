import { CircleAlert, Info, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import styles from './notice.module.css'

const icons = { info: Info, warn: TriangleAlert, bad: CircleAlert }

/** Something that needs to be known, with what to do about it. */
export function Notice({
  kind = 'info',
  title,
  children,
}: {
  readonly kind?: 'info' | 'warn' | 'bad'
  readonly title: string
  readonly children?: ReactNode
}) {
  const Icon = icons[kind]
  return (
    <div className={`${styles.notice} ${styles[kind]}`} role={kind === 'info' ? undefined : 'alert'}>
      <Icon size={18} aria-hidden />
      <div className={styles.body}>
        <strong>{title}</strong>
        {children}
      </div>
    </div>
  )
}

/** What stands where there is nothing yet: why, and how to change that. */
export function EmptyState({
  icon,
  title,
  children,
}: {
  readonly icon: ReactNode
  readonly title: string
  readonly children: ReactNode
}) {
  return (
    <div className={styles.empty}>
      <div className={styles.emptyIcon} aria-hidden>
        {icon}
      </div>
      <h3>{title}</h3>
      <div className={styles.emptyBody}>{children}</div>
    </div>
  )
}
