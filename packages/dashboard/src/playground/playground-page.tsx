import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { modelsQuery } from '../gateway/queries.ts'
import { PageTitle } from '../app/page-title.tsx'
import { playgroundUse } from '../models/find-models.ts'
import { NoModels } from '../models/no-models.tsx'
import { Tabs } from '../ui/tabs.tsx'
import { ChatView } from './chat-view.tsx'
import { EmbeddingsView } from './embeddings-view.tsx'

/** Try a model. `chosen` is the one that the address names. */
export function PlaygroundPage({
  chosen,
  onChoose,
}: {
  readonly chosen: string | undefined
  readonly onChoose: (id: string) => void
}) {
  const { data: models } = useQuery(modelsQuery)
  const all = models ?? []
  const chats = all.filter((model) => playgroundUse(model) === 'chat')
  const embedders = all.filter((model) => playgroundUse(model) === 'embeddings')
  const [use, setUse] = useState<'chat' | 'embeddings'>(
    embedders.some(({ id }) => id === chosen) ? 'embeddings' : 'chat',
  )
  const pick = (list: typeof all) => list.find(({ id }) => id === chosen) ?? list[0]

  return (
    <>
      <PageTitle title="Playground" />
      {models && all.length === 0 ? (
        <NoModels />
      ) : (
        <Tabs
          label="What to try"
          value={use}
          onChange={setUse}
          tabs={[
            { value: 'chat', label: 'Chat', panel: <ChatView models={chats} model={pick(chats)} onModel={onChoose} /> },
            {
              value: 'embeddings',
              label: 'Embeddings',
              panel: <EmbeddingsView models={embedders} model={pick(embedders)} onModel={onChoose} />,
            },
          ]}
        />
      )}
    </>
  )
}
