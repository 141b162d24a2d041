import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { ask } from '../gateway/ask-gateway.ts'
import { explain } from '../gateway/gateway-error.ts'
import { EmbeddingsBody, type ModelFacts } from '../gateway/gateway-schema.ts'
import { formatAmount } from '../money/format-price.ts'
import { ReceiptCard } from '../receipt/receipt-card.tsx'
import { KeyForm } from '../session/key-form.tsx'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Card } from '../ui/card.tsx'
import { Field, TextArea } from '../ui/field.tsx'
import { Notice } from '../ui/notice.tsx'
import { Select } from '../ui/select.tsx'
import styles from './playground.module.css'
import { cosine } from './similarity.ts'

const startTexts = 'A frog sits on a lily pad.\nA toad rests on a leaf.\nInterest rates rose again.'

/** Texts as vectors, and how near they are to each other. */
export function EmbeddingsView({
  models,
  model,
  onModel,
}: {
  readonly models: readonly ModelFacts[]
  readonly model: ModelFacts | undefined
  readonly onModel: (id: string) => void
}) {
  const { key, number } = useSession()
  const queries = useQueryClient()
  const [text, setText] = useState(startTexts)
  const texts = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const { mutate, data, error, isPending } = useMutation({
    mutationFn: async (input: readonly string[]) => {
      const body = { model: model?.id, input, encoding_format: 'float' }
      const reply = await ask('/v1/embeddings', EmbeddingsBody, { key, body })
      return { input, reply, model: model?.id ?? '' }
    },
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ['account', number] })
      void queries.invalidateQueries({ queryKey: ['usage', number] })
    },
  })
  const vectors = data?.reply.data.map(({ embedding }) => embedding) ?? []
  const obstacle =
    model === undefined ? 'There is no model to ask.' : key === undefined ? 'Enter an API key first.' : undefined

  return (
    <div className={styles.columns}>
      <div className={styles.embed}>
        <form
          className={styles.embed}
          onSubmit={(event: FormEvent) => {
            event.preventDefault()
            if (obstacle === undefined && texts.length > 0) mutate(texts)
          }}
        >
          <Field label="Texts" hint="One a line, up to twelve.">
            <TextArea rows={5} value={text} onChange={(event) => setText(event.target.value)} />
          </Field>
          <div>
            <Button
              look="primary"
              type="submit"
              disabled={obstacle !== undefined || isPending || texts.length === 0 || texts.length > 12}
            >
              {isPending ? 'Embedding…' : `Embed ${texts.length} ${texts.length === 1 ? 'text' : 'texts'}`}
            </Button>{' '}
            <span className={styles.obstacle}>{obstacle}</span>
          </div>
        </form>
        {error ? (
          <Notice kind="bad" title={explain(error).title}>
            <span>{explain(error).text}</span>
          </Notice>
        ) : null}
        {data ? (
          <>
            <Card className={styles.asidePart}>
              <p role="status" className={styles.matrixHead}>
                {vectors.length} vectors of {vectors[0]?.length} numbers, {data.reply.usage.prompt_tokens} tokens,{' '}
                {formatAmount(data.reply.lilypad.cost.amount)} LILY
              </p>
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys */}
              <section className={styles.matrixWrap} tabIndex={0} aria-label="How near the texts are">
                <table className={styles.matrix}>
                  <caption className="visually-hidden">How near the texts are: 1 is the same direction</caption>
                  <thead>
                    <tr>
                      <td />
                      {vectors.map((_, at) => (
                        // biome-ignore lint/suspicious/noArrayIndexKey: a text is known by its place
                        <th key={at} scope="col">
                          {at + 1}
                        </th>
                      ))}
                    </tr>
                  </thead>
                  <tbody>
                    {vectors.map((row, at) => (
                      // biome-ignore lint/suspicious/noArrayIndexKey: a text is known by its place
                      <tr key={at}>
                        <th scope="row" className={styles.matrixText}>
                          {at + 1}. {data.input[at]}
                        </th>
                        {vectors.map((column, other) => (
                          // biome-ignore lint/suspicious/noArrayIndexKey: a text is known by its place
                          <td key={other} style={{ background: shade(cosine(row, column)) }}>
                            {cosine(row, column).toFixed(2)}
                          </td>
                        ))}
                      </tr>
                    ))}
                  </tbody>
                </table>
              </section>
            </Card>
            <ReceiptCard
              jobId={data.reply.lilypad.job_id}
              seen={{
                receipt: data.reply.lilypad.receipt,
                cost: data.reply.lilypad.cost.amount,
                model: data.model,
                inputTokens: data.reply.usage.prompt_tokens,
                outputTokens: 0,
                input: data.input,
                vectors,
              }}
            />
          </>
        ) : null}
      </div>
      <aside className={styles.aside} aria-label="Settings of the request">
        <Card className={styles.asidePart}>
          <KeyForm />
        </Card>
        <Card className={styles.asidePart}>
          <div className={styles.model}>
            <span className={styles.modelLabel} aria-hidden>
              Model
            </span>
            <Select
              label="Model"
              value={model?.id}
              placeholder="No model is offered now"
              options={models.map(({ id, name }) => ({ value: id, label: id === name ? id : `${id}: ${name}` }))}
              onChange={onModel}
            />
          </div>
        </Card>
      </aside>
    </div>
  )
}

const shade = (near: number) =>
  `color-mix(in srgb, var(--accent-wash) ${Math.round(Math.max(0, Math.min(1, near)) * 100)}%, transparent)`
