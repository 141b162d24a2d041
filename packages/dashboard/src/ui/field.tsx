import { Field as BaseField } from '@base-ui/react/field'
import type { ComponentProps, ReactNode } from 'react'
import styles from './field.module.css'

/** A control with its label, what to know about it, and what is wrong with what it holds. */
export function Field({
  label,
  hint,
  error,
  aside,
  children,
}: {
  readonly label: string
  readonly hint?: ReactNode
  readonly error?: string | undefined
  /** Beside the label: the present value. */
  readonly aside?: ReactNode
  readonly children: ReactNode
}) {
  return (
    <BaseField.Root className={styles.field} invalid={error !== undefined}>
      <div className={styles.head}>
        <BaseField.Label className={styles.label}>{label}</BaseField.Label>
        {aside}
      </div>
      {children}
      {hint === undefined ? null : <BaseField.Description className={styles.hint}>{hint}</BaseField.Description>}
      {error === undefined ? null : (
        <BaseField.Error match className={styles.error}>
          {error}
        </BaseField.Error>
      )}
    </BaseField.Root>
  )
}

/** One line of text, inside a {@link Field}. */
export function TextInput(props: ComponentProps<typeof BaseField.Control>) {
  return <BaseField.Control autoComplete="off" spellCheck={false} {...props} className={styles.input} />
}

/** Lines of text, inside a {@link Field}. */
export function TextArea({ rows = 3, ...props }: Omit<ComponentProps<'textarea'>, 'className' | 'ref'>) {
  return (
    <BaseField.Control
      render={<textarea {...props} rows={rows} spellCheck={false} className={`${styles.input} ${styles.area}`} />}
    />
  )
}
