import { Collapsible } from '@base-ui/react/collapsible'
import { MessageSquare, Send, Settings2, Square } from 'lucide-react'
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from 'react'
import type { ModelFacts } from '../gateway/gateway-schema.ts'
import { KeyForm } from '../session/key-form.tsx'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Card } from '../ui/card.tsx'
import { EmptyState } from '../ui/notice.tsx'
import { Select } from '../ui/select.tsx'
import { type ChatSettings, findFaults, startSettings, toChatRequest } from './chat-request.ts'
import styles from './playground.module.css'
import { SettingsPanel } from './settings-panel.tsx'
import { TurnView } from './turn-view.tsx'
import { type Turn, useChat } from './use-chat.ts'

const ideas = ['Why do frogs sing at night?', 'Write a haiku about a pond.', 'Explain a signed receipt to a child.']

/** A conversation with a model of the network. */
export function ChatView({
  models,
  model,
  onModel,
}: {
  readonly models: readonly ModelFacts[]
  readonly model: ModelFacts | undefined
  readonly onModel: (id: string) => void
}) {
  const { key } = useSession()
  const chat = useChat()
  const [draft, setDraft] = useState('')
  const [settings, setSettings] = useState<ChatSettings>(startSettings)
  const [isMarkdown, setMarkdown] = useState(true)
  const field = useRef<HTMLTextAreaElement>(null)
  const end = useRef<HTMLDivElement>(null)
  const faults = findFaults(settings)
  const obstacle =
    model === undefined
      ? 'There is no model to ask.'
      : key === undefined
        ? 'Enter an API key first.'
        : Object.keys(faults).length > 0
          ? 'Something in the settings is not valid.'
          : undefined

  const { turns, isRunning } = chat
  const last = turns.at(-1)
  const grown = `${turns.length} ${last?.pieces} ${last?.state}`
  // biome-ignore lint/correctness/useExhaustiveDependencies: it follows what has grown
  useEffect(() => {
    end.current?.scrollIntoView({ block: 'nearest' })
  }, [grown])

  const submit = (question: string) => {
    if (obstacle !== undefined || isRunning || !model || question.trim() === '') return
    const messages = [...turns.flatMap(toMessages), { role: 'user' as const, content: question }]
    setDraft('')
    void chat.ask(question, toChatRequest(model.id, messages, settings), settings.maxPrice)
    field.current?.focus()
  }
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    submit(draft)
  }

  return (
    <div className={styles.columns}>
      <div className={styles.conversation}>
        {turns.length === 0 ? (
          <EmptyState icon={<MessageSquare size={22} />} title="Ask, and check what you get">
            <p>
              The reply streams as the provider makes it. Then its signed receipt is fetched and checked here, in your
              browser.
            </p>
            <div className={styles.ideas}>
              {ideas.map((idea) => (
                <Button key={idea} size="s" onClick={() => (obstacle === undefined ? submit(idea) : setDraft(idea))}>
                  {idea}
                </Button>
              ))}
            </div>
          </EmptyState>
        ) : (
          <ol className={styles.turns}>
            {turns.map((turn) => (
              <TurnView
                key={turn.id}
                turn={turn}
                model={models.find(({ id }) => id === turn.request.model)}
                isMarkdown={isMarkdown}
              />
            ))}
          </ol>
        )}
        <div ref={end} />
        <form
          className={styles.composer}
          onSubmit={(event: FormEvent) => {
            event.preventDefault()
            submit(draft)
          }}
        >
          <label className="visually-hidden" htmlFor="question">
            Your message
          </label>
          <textarea
            id="question"
            ref={field}
            className={styles.draft}
            rows={2}
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            onKeyDown={onKey}
            placeholder={`Message ${model?.id ?? 'a model'}`}
          />
          <div className={styles.composerFoot}>
            <span className={styles.obstacle}>{obstacle ?? 'Enter sends, Shift + Enter begins a line'}</span>
            {turns.length > 0 && !isRunning ? (
              <Button look="quiet" size="s" onClick={chat.clear}>
                New
              </Button>
            ) : null}
            {isRunning ? (
              <Button size="s" onClick={chat.stop}>
                <Square size={14} aria-hidden /> Stop
              </Button>
            ) : (
              <Button look="primary" size="s" type="submit" disabled={obstacle !== undefined || draft.trim() === ''}>
                <Send size={14} aria-hidden /> Send
              </Button>
            )}
          </div>
        </form>
        <p className="visually-hidden" role="status">
          {last ? spoken[last.state] : ''}
        </p>
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
          <Collapsible.Root defaultOpen={matchMedia('(min-width: 60rem)').matches}>
            <Collapsible.Trigger className={styles.more}>
              <Settings2 size={15} aria-hidden /> Settings
            </Collapsible.Trigger>
            <Collapsible.Panel className={styles.morePanel}>
              <SettingsPanel
                {...{ settings, faults, model, isMarkdown }}
                onChange={(change) => setSettings((now) => ({ ...now, ...change }))}
                onMarkdown={setMarkdown}
              />
            </Collapsible.Panel>
          </Collapsible.Root>
        </Card>
      </aside>
    </div>
  )
}

const spoken: { readonly [state in Turn['state']]: string } = {
  waiting: 'Sent',
  streaming: 'The reply is coming',
  done: 'The reply is whole',
  stopped: 'Stopped',
  failed: 'The request failed',
}

/** What of a turn the next question is sent with: a reply that broke off is not part of the conversation. */
function toMessages({ question, text, state }: Turn) {
  const asked = { role: 'user' as const, content: question }
  return state === 'done' && text !== '' ? [asked, { role: 'assistant' as const, content: text }] : []
}
