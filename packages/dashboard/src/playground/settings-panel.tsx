import type { ModelFacts } from '../gateway/gateway-schema.ts'
import { formatAmount } from '../money/format-price.ts'
import { Slider, Switch } from '../ui/controls.tsx'
import { Field, TextArea, TextInput } from '../ui/field.tsx'
import { Select } from '../ui/select.tsx'
import type { ChatSettings, ReplyForm } from './chat-request.ts'
import styles from './settings-panel.module.css'

const forms: readonly { readonly value: ReplyForm; readonly label: string }[] = [
  { value: 'text', label: 'Text' },
  { value: 'json', label: 'JSON' },
  { value: 'schema', label: 'JSON by a schema' },
]

/** What a request says beside its messages. */
export function SettingsPanel({
  settings,
  faults,
  model,
  isMarkdown,
  onChange,
  onMarkdown,
}: {
  readonly settings: ChatSettings
  readonly faults: Partial<Record<keyof ChatSettings, string>>
  readonly model: ModelFacts | undefined
  readonly isMarkdown: boolean
  readonly onChange: (change: Partial<ChatSettings>) => void
  readonly onMarkdown: (isOn: boolean) => void
}) {
  const most = model?.top_provider.max_completion_tokens
  return (
    <div className={styles.panel}>
      <Field label="System prompt">
        <TextArea
          value={settings.system}
          onChange={(event) => onChange({ system: event.target.value })}
          placeholder="You are a helpful frog."
        />
      </Field>
      <Field label="Temperature" aside={<output className={styles.value}>{settings.temperature.toFixed(1)}</output>}>
        <Slider
          value={settings.temperature}
          onChange={(temperature) => onChange({ temperature })}
          min={0}
          max={2}
          step={0.1}
        />
      </Field>
      <Field
        label="Most tokens"
        hint={most ? `This model gives up to ${most.toLocaleString('en-US')}.` : undefined}
        error={faults.maxTokens}
      >
        <TextInput
          inputMode="numeric"
          value={settings.maxTokens}
          onChange={(event) => onChange({ maxTokens: event.target.value.trim() })}
        />
      </Field>
      <Field
        label="Most it may cost"
        aside={<span className={styles.value}>LILY</span>}
        hint={hintOf(settings, model)}
        error={faults.maxPrice}
      >
        <TextInput
          inputMode="decimal"
          placeholder="no limit but the account"
          value={settings.maxPrice}
          onChange={(event) => onChange({ maxPrice: event.target.value.trim() })}
        />
      </Field>
      <div className={styles.stack}>
        <span className={styles.label} aria-hidden>
          Form of the reply
        </span>
        <Select
          label="Form of the reply"
          value={settings.form}
          options={forms}
          onChange={(form) => onChange({ form })}
        />
      </div>
      {settings.form === 'schema' ? (
        <Field label="JSON schema" error={faults.schema}>
          <TextArea rows={8} value={settings.schema} onChange={(event) => onChange({ schema: event.target.value })} />
        </Field>
      ) : null}
      <Switch label="Show Markdown" hint="Off shows the reply as it came." isOn={isMarkdown} onChange={onMarkdown} />
    </div>
  )
}

function hintOf({ maxTokens }: ChatSettings, model: ModelFacts | undefined): string {
  if (!model?.lilypad.price) return 'A request that could cost more is refused.'
  const { per_job, per_output_unit } = model.lilypad.price
  const cost = Number(per_job) + Number(maxTokens) * Number(per_output_unit)
  return Number.isFinite(cost)
    ? `${maxTokens} tokens out cost ${formatAmount(cost)} LILY here, and the prompt a little more. A request that could cost more is refused.`
    : 'A request that could cost more is refused.'
}
