import { ChevronsUpDown } from 'lucide-react'
import styles from './select.module.css'

export type Option<Value extends string> = {
  readonly value: Value
  readonly label: string
}

/** One of a list, with the list of the system: on a telephone its own wheel, and every key that people know. */
export function Select<Value extends string>({
  value,
  options,
  onChange,
  label,
  placeholder = 'Choose',
}: {
  readonly value: Value | undefined
  readonly options: readonly Option<Value>[]
  readonly onChange: (value: Value) => void
  readonly label: string
  readonly placeholder?: string
}) {
  return (
    <span className={styles.frame}>
      <select
        className={styles.select}
        aria-label={label}
        value={value ?? ''}
        disabled={options.length === 0}
        onChange={(event) => {
          const chosen = options.find((option) => option.value === event.target.value)
          if (chosen) onChange(chosen.value)
        }}
      >
        {value === undefined ? <option value="">{placeholder}</option> : null}
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
      <ChevronsUpDown size={15} className={styles.icon} aria-hidden />
    </span>
  )
}
