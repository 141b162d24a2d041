import { Field } from '@base-ui/react/field'
import { Switch as BaseSwitch } from '@base-ui/react/switch'
import styles from './controls.module.css'

/** A number in a range, inside a field that names it. */
export function Slider({
  value,
  onChange,
  ...range
}: {
  readonly value: number
  readonly onChange: (value: number) => void
  readonly min: number
  readonly max: number
  readonly step: number
}) {
  return (
    <Field.Control
      type="range"
      className={styles.slider}
      value={value}
      onChange={(event) => onChange(Number(event.target.value))}
      {...range}
    />
  )
}

/** On or off, with its label beside it. */
export function Switch({
  label,
  hint,
  isOn,
  onChange,
}: {
  readonly label: string
  readonly hint?: string
  readonly isOn: boolean
  readonly onChange: (isOn: boolean) => void
}) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the switch inside is one
    <label className={styles.switchRow}>
      <span>
        <span className={styles.switchLabel}>{label}</span>
        {hint ? <span className={styles.switchHint}>{hint}</span> : null}
      </span>
      <BaseSwitch.Root className={styles.switch} checked={isOn} onCheckedChange={onChange}>
        <BaseSwitch.Thumb className={styles.switchThumb} />
      </BaseSwitch.Root>
    </label>
  )
}
