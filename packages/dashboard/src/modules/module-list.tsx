import { useQuery } from '@tanstack/react-query'
import { Package, Search } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { explain } from '../gateway/gateway-error.ts'
import type { ModuleFacts } from '../gateway/gateway-schema.ts'
import { modulesQuery } from '../gateway/queries.ts'
import tableStyles from '../models/model-table.module.css'
import { formatAmount } from '../money/format-price.ts'
import { Badge, Card } from '../ui/card.tsx'
import { EmptyState, Notice } from '../ui/notice.tsx'
import styles from './module-list.module.css'

/** Everything that runs on the network, models or not. */
export function ModuleList() {
  const [search, setSearch] = useState('')
  const { data: modules, error } = useQuery(modulesQuery(useDeferredValue(search.trim())))
  return (
    <div className={styles.part}>
      <label className={tableStyles.search}>
        <Search size={16} aria-hidden />
        <span className="visually-hidden">Search modules</span>
        <input
          type="search"
          placeholder="What should it do?"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      </label>
      {error ? (
        <Notice kind="bad" title={explain(error).title}>
          <span>{explain(error).text}</span>
        </Notice>
      ) : null}
      {modules?.length === 0 ? (
        <EmptyState icon={<Package size={22} />} title="No module matches">
          <p>
            Publish one with <code>npx lilypad modules publish</code>; it is found a moment later.
          </p>
        </EmptyState>
      ) : (
        <ul className={styles.list}>
          {modules?.map((module) => (
            <ModuleCard key={module.name} module={module} />
          ))}
        </ul>
      )}
    </div>
  )
}

function ModuleCard({
  module: { name, version, title, summary, price, units, providers },
}: {
  readonly module: ModuleFacts
}) {
  const prices = [
    [price.per_job, 'per job', ''],
    [price.per_second, 'per second', ''],
    [price.per_input_unit, 'per input', units.input],
    [price.per_output_unit, 'per output', units.output],
  ].filter(([amount]) => amount !== '0')
  return (
    <li>
      <Card className={styles.module}>
        <div className={styles.head}>
          <h3>{title}</h3>
          <Badge kind={providers > 0 ? 'good' : 'warn'}>{providers > 0 ? `${providers} online` : 'offline'}</Badge>
        </div>
        <p>{summary}</p>
        <ul className={styles.prices}>
          {prices.map(([amount = '', per, unit]) => (
            <li key={per}>
              {formatAmount(amount, 3)} LILY {per} {unit ? <span>({unit})</span> : null}
            </li>
          ))}
          {prices.length === 0 ? <li>free</li> : null}
        </ul>
        <code className={styles.name}>
          {name}@{version}
        </code>
      </Card>
    </li>
  )
}
