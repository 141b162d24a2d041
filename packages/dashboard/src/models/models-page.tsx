import { useQuery } from '@tanstack/react-query'
import { Cpu, PenLine, ShieldCheck } from 'lucide-react'
import { useEffect, useState } from 'react'
import { explain } from '../gateway/gateway-error.ts'
import { modelsQuery, networkQuery } from '../gateway/queries.ts'
import { ModuleList } from '../modules/module-list.tsx'
import { Card } from '../ui/card.tsx'
import { CopyButton } from '../ui/copy-button.tsx'
import { Notice } from '../ui/notice.tsx'
import { Tabs } from '../ui/tabs.tsx'
import { ModelTable } from './model-table.tsx'
import styles from './models-page.module.css'
import { NoModels } from './no-models.tsx'

const steps = [
  { icon: PenLine, title: 'Ordered', text: 'with a price list that the provider signed, and a cap that you set' },
  { icon: Cpu, title: 'Run and signed', text: 'words, tokens and price are in one receipt' },
  { icon: ShieldCheck, title: 'Checked by you', text: 'every signature and hash, in your own browser' },
] as const

/** What there is: the address of the gateway, its models with their prices, and every other module. */
export function ModelsPage() {
  const { data: models, error } = useQuery(modelsQuery)
  const { data: network } = useQuery(networkQuery)
  const [tab, setTab] = useState<'models' | 'modules'>('models')
  const baseUrl = `${location.origin}/v1`
  useEffect(() => {
    document.title = 'Models · Lilypad gateway'
  }, [])

  return (
    <>
      <section className={styles.hero}>
        <div>
          <h1>Every answer comes with a receipt</h1>
          <p>
            One URL for any client of OpenAI or Anthropic. Each request is a job on the Lilypad network: signed by the
            provider that ran it, paid by what was used, and checked by you.
          </p>
        </div>
        <div>
          <Card className={styles.url}>
            <div className={styles.urlWords}>
              <span className={styles.urlLabel}>Base URL</span>
              <code>{baseUrl}</code>
            </div>
            <CopyButton text={baseUrl} label="Copy the base URL" />
          </Card>
          <ol className={styles.steps}>
            {steps.map(({ icon: Icon, title, text }) => (
              <li key={title}>
                <Icon size={18} aria-hidden />
                <div>
                  <strong>{title}</strong>
                  <span>{text}</span>
                </div>
              </li>
            ))}
          </ol>
        </div>
      </section>
      <Tabs
        label="What is offered"
        value={tab}
        onChange={setTab}
        tabs={[
          {
            value: 'models',
            label: models ? `Models (${models.length})` : 'Models',
            panel: error ? (
              <Notice kind="bad" title={explain(error).title}>
                <span>{explain(error).text}</span>
              </Notice>
            ) : models?.length === 0 ? (
              <NoModels />
            ) : (
              <ModelTable models={models} usdPerLily={network?.usd_per_lily} />
            ),
          },
          { value: 'modules', label: 'All modules', panel: <ModuleList /> },
        ]}
      />
    </>
  )
}
