import { Slider as BaseSlider } from '@base-ui/react/slider'
import { Switch as BaseSwitch } from '@base-ui/react/switch'
import styles from './controls.module.css'

/** A number in a range, by hand or keys. */
export function Slider({
  label,
  value,
  onChange,
  min,
  max,
  step,
}: {
  readonly label: string
  readonly value: number
  readonly onChange: (value: number) => void
  readonly min: number
  readonly max: number
  readonly step: number
}) {
  return (
    <BaseSlider.Root
      className={styles.slider}
      value={value}
      onValueChange={(next) => onChange(Array.isArray(next) ? (next[0] ?? value) : next)}
      min={min}
      max={max}
      step={step}
    >
      <BaseSlider.Control className={styles.control}>
        <BaseSlider.Track className={styles.track}>
          <BaseSlider.Indicator className={styles.indicator} />
          <BaseSlider.Thumb className={styles.thumb} aria-label={label} />
        </BaseSlider.Track>
      </BaseSlider.Control>
    </BaseSlider.Root>
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
