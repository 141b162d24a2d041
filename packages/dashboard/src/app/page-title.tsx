import { type ReactNode, useEffect } from 'react'
import styles from './page-title.module.css'

/** Heading of a page, and the name of the tab. */
export function PageTitle({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Lilypad gateway`
  }, [title])
  return (
    <div className={styles.title}>
      <h1>{title}</h1>
      {children === undefined ? null : <p>{children}</p>}
    </div>
  )
}
