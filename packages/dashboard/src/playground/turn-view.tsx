import { Brain, Square, Wrench } from 'lucide-react'
import { lazy, Suspense, useMemo } from 'react'
import { explain } from '../gateway/gateway-error.ts'
import type { ModelFacts } from '../gateway/gateway-schema.ts'
import { formatAmount, formatUsd } from '../money/format-price.ts'
import { ReceiptCard } from '../receipt/receipt-card.tsx'
import type { Seen } from '../receipt/verify-receipt.ts'
import { CopyButton } from '../ui/copy-button.tsx'
import { Notice } from '../ui/notice.tsx'
import styles from './turn-view.module.css'
import type { Turn } from './use-chat.ts'

const ReplyText = lazy(async () => ({ default: (await import('./reply-text.tsx')).ReplyText }))

/** A question, the reply as it comes, what it costs, and at last its receipt. */
export function TurnView({
  turn,
  model,
  isMarkdown,
}: {
  readonly turn: Turn
  readonly model: ModelFacts | undefined
  readonly isMarkdown: boolean
}) {
  const { state, text, reasoning, calls, error, end, request, jobId } = turn
  const isOpen = state === 'waiting' || state === 'streaming'
  const seen = useMemo<Seen | undefined>(
    () =>
      end && {
        receipt: end.settlement.receipt,
        cost: end.settlement.cost.amount,
        model: request.model,
        messages: request.messages,
        inputTokens: end.usage.prompt_tokens,
        outputTokens: end.usage.completion_tokens ?? 0,
        text,
      },
    [end, request, text],
  )
  return (
    <li className={styles.turn}>
      <div className={styles.question}>
        <span className="visually-hidden">You: </span>
        {turn.question}
      </div>
      <article className={styles.answer} aria-busy={isOpen} aria-label={`Reply of ${request.model}`}>
        <header className={styles.head}>
          <strong>{request.model}</strong>
          {text === '' || isOpen ? null : <CopyButton text={text} label="Copy the reply" />}
        </header>
        {reasoning === '' ? null : (
          <details className={styles.aside}>
            <summary>
              <Brain size={15} aria-hidden /> Thoughts
            </summary>
            <p className={styles.plain}>{reasoning}</p>
          </details>
        )}
        {text === '' ? null : isMarkdown ? (
          <Suspense fallback={<p className={styles.plain}>{text}</p>}>
            <ReplyText text={text} />
          </Suspense>
        ) : (
          <p className={styles.plain}>{text}</p>
        )}
        {state === 'waiting' ? <p className={styles.waiting}>A provider is starting on it…</p> : null}
        {calls.map((call, index) => (
          // Calls are numbered by the model and never move.
          // biome-ignore lint/suspicious/noArrayIndexKey: see above
          <div key={index} className={styles.call}>
            <Wrench size={15} aria-hidden /> {call.name} <code>{call.arguments}</code>
          </div>
        ))}
        {state === 'failed' ? (
          <Notice kind="bad" title={explain(error).title}>
            <span>{explain(error).text}</span>
          </Notice>
        ) : null}
        {state === 'stopped' ? (
          <p className={styles.stopped}>
            <Square size={13} aria-hidden /> Stopped. What the provider had already made is charged.
          </p>
        ) : null}
        <Meter turn={turn} model={model} />
      </article>
      {end && seen ? <ReceiptCard jobId={end.settlement.job_id} seen={seen} /> : null}
      {state === 'stopped' && jobId ? <ReceiptCard jobId={jobId} /> : null}
    </li>
  )
}

/** Tokens, time and cost: estimated while the reply comes, as signed when it is there. */
function Meter({ turn, model }: { readonly turn: Turn; readonly model: ModelFacts | undefined }) {
  const { end, pieces, firstAfter, endedAfter, state } = turn
  if (firstAfter === undefined && !end) return null
  const seconds = ((endedAfter ?? performance.now() - turn.startedAt) - (firstAfter ?? 0)) / 1000
  const tokens = end?.usage.completion_tokens ?? pieces
  const facts = [
    end ? `${end.usage.prompt_tokens} tokens in, ${tokens} out` : `${tokens} tokens so far`,
    firstAfter === undefined ? undefined : `first after ${formatSeconds(firstAfter / 1000)}`,
    seconds > 0.05 && tokens > 1
      ? `${(tokens / seconds).toFixed(tokens / seconds < 10 ? 1 : 0)} tokens a second`
      : undefined,
    end
      ? `${formatAmount(end.settlement.cost.amount)} LILY${end.usage.cost == null ? '' : ` (${formatUsd(end.usage.cost)})`}`
      : model?.lilypad.price && `about ${formatAmount(estimate(model.lilypad.price, pieces), 2)} LILY`,
    end?.finish === 'length' ? 'ended at the limit of tokens' : undefined,
  ]
  return (
    <p className={styles.meter} data-live={state === 'streaming'}>
      {facts.flatMap((fact) => (!fact ? [] : [<span key={fact.replace(/[\d.,]+/g, '')}>{fact}</span>]))}
    </p>
  )
}

/** LILY of a reply that is still coming: the price of the request and of what came; the prompt is counted at the end. */
const estimate = (price: NonNullable<ModelFacts['lilypad']['price']>, pieces: number) =>
  Number(price.per_job) + pieces * Number(price.per_output_unit)

const formatSeconds = (seconds: number) =>
  seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`
