import type { ReactNode } from 'react'
import styles from './card.module.css'

/** A surface of its own on the page. */
export function Card({
  children,
  className = '',
}: {
  readonly children: ReactNode
  readonly className?: string | undefined
}) {
  return <section className={`${styles.card} ${className}`}>{children}</section>
}

/** A short fact in a pill. */
export function Badge({
  kind = 'plain',
  children,
}: {
  readonly kind?: 'plain' | 'good' | 'bad' | 'warn'
  readonly children: ReactNode
}) {
  return <span className={`${styles.badge} ${styles[kind]}`}>{children}</span>
}

/** Numbers with their names. */
export function Facts({ facts }: { readonly facts: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className={styles.facts}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
