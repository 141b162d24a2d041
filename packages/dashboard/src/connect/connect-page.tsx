import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { PageTitle } from '../app/page-title.tsx'
import { modelsQuery } from '../gateway/queries.ts'
import { playgroundUse } from '../models/find-models.ts'
import { CodeBlock } from '../ui/code-block.tsx'
import { Select } from '../ui/select.tsx'
import { Tabs } from '../ui/tabs.tsx'
import styles from './connect-page.module.css'
import { snippetsFor } from './snippets.ts'

/** How to use the gateway from other programs. */
export function ConnectPage() {
  const { data: models = [] } = useQuery(modelsQuery)
  const chats = models.filter((model) => playgroundUse(model) === 'chat')
  const [chosen, setChosen] = useState<string>()
  const model = chats.find(({ id }) => id === chosen)?.id ?? chats[0]?.id
  const snippets = snippetsFor({ origin: location.origin, model: model ?? 'chat' })
  const [tab, setTab] = useState(snippets[0]?.id ?? '')

  return (
    <>
      <PageTitle title="Use it from">
        Any client that lets you set a base URL. Keys are read from the environment, so nothing secret is in the code.
      </PageTitle>
      <div className={styles.page}>
        <div className={styles.model}>
          <Select
            label="Model in the code"
            value={model}
            placeholder="chat"
            options={chats.map(({ id, name }) => ({ value: id, label: id === name ? id : `${id}: ${name}` }))}
            onChange={setChosen}
          />
        </div>
        <Tabs
          label="Client"
          value={tab}
          onChange={setTab}
          tabs={snippets.map(({ id, label, install, code, note }) => ({
            value: id,
            label,
            panel: (
              <div className={styles.snippet}>
                {install === undefined ? null : <CodeBlock label="Install" code={install} />}
                <CodeBlock label={label} code={code} />
                {note === undefined ? null : <p className={styles.note}>{note}</p>}
              </div>
            ),
          }))}
        />
        <p className={styles.note}>
          Every reply has <code>lilypad.job_id</code> and <code>lilypad.receipt</code>.{' '}
          <code>GET /v1/jobs/&lt;job_id&gt;/receipt</code> is what this page checks. All routes:{' '}
          <a href="/openapi.json">OpenAPI document</a>.
        </p>
      </div>
    </>
  )
}
