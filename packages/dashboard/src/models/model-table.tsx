import { Link } from '@tanstack/react-router'
import { Search } from 'lucide-react'
import { useState } from 'react'
import type { ModelFacts } from '../gateway/gateway-schema.ts'
import { formatAmount, formatUsd, perMillion } from '../money/format-price.ts'
import { buttonClass } from '../ui/button.tsx'
import { Badge, Card } from '../ui/card.tsx'
import { Select } from '../ui/select.tsx'
import { capabilitiesOf, findModels, type Order, playgroundUse, sortModels } from './find-models.ts'
import styles from './model-table.module.css'

const orderNames: readonly { readonly value: Order; readonly label: string }[] = [
  { value: 'name', label: 'By name' },
  { value: 'price', label: 'Cheapest first' },
  { value: 'context', label: 'Longest context first' },
  { value: 'providers', label: 'Most providers first' },
]

/** Models with what they cost and can do; while they are fetched, the place where they will be. */
export function ModelTable({
  models,
  usdPerLily,
}: {
  readonly models: readonly ModelFacts[] | undefined
  readonly usdPerLily: string | undefined
}) {
  const [search, setSearch] = useState('')
  const [order, setOrder] = useState<Order>('name')
  const found = sortModels(findModels(models ?? [], search), order)
  return (
    <div className={styles.part}>
      <div className={styles.tools}>
        <label className={styles.search}>
          <Search size={16} aria-hidden />
          <span className="visually-hidden">Search models</span>
          <input
            type="search"
            placeholder="Search by name or ability"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
          />
        </label>
        <div className={styles.order}>
          <Select label="Order of the models" value={order} options={orderNames} onChange={setOrder} />
        </div>
      </div>
      <Card className={styles.scroll}>
        <table className={styles.table}>
          <caption className="visually-hidden">
            Models with prices per million tokens{usdPerLily ? ` at ${usdPerLily} dollars per LILY` : ''}
          </caption>
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" className={styles.number}>
                Input <small className={styles.per}>per 1M tokens</small>
              </th>
              <th scope="col" className={styles.number}>
                Output <small className={styles.per}>per 1M tokens</small>
              </th>
              <th scope="col" className={styles.number}>
                Context
              </th>
              <th scope="col" className={styles.number}>
                Providers
              </th>
              <th scope="col">
                <span className="visually-hidden">Try it</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {models === undefined ? <Waiting /> : found.map((model) => <Row key={model.id} model={model} />)}
          </tbody>
        </table>
        {models && found.length === 0 ? (
          <p className={styles.none} role="status">
            No model matches “{search}”.
          </p>
        ) : null}
      </Card>
      {usdPerLily ? (
        <p className={styles.rate}>
          Dollars at {formatUsd(usdPerLily)} per LILY. You pay in LILY, by what the receipt counts.
        </p>
      ) : null}
    </div>
  )
}

function Row({ model }: { readonly model: ModelFacts }) {
  const { id, description, context_length, pricing, lilypad } = model
  const { price, providers, offers } = lilypad
  const warm = offers?.filter(({ resident }) => resident).length ?? 0
  const isChat = playgroundUse(model) === 'chat'
  return (
    <tr>
      <th scope="row" className={styles.name}>
        <code>{id}</code>
        <span className={styles.summary}>{description}</span>
        {price && Number(price.per_job) > 0 ? (
          <span className={styles.perRequest}>and {formatAmount(price.per_job)} LILY per request</span>
        ) : null}
        <span className={styles.badges}>
          {capabilitiesOf(model).map((name) => (
            <Badge key={name}>{name}</Badge>
          ))}
        </span>
      </th>
      <Price label="Input" usd={pricing.prompt} lily={price?.per_input_unit} />
      {isChat ? (
        <Price label="Output" usd={pricing.completion} lily={price?.per_output_unit} />
      ) : (
        <td className={styles.number} data-label="Output">
          –
        </td>
      )}
      <td className={styles.number} data-label="Context">
        {context_length ? context_length.toLocaleString('en-US') : '–'}
      </td>
      <td className={styles.number} data-label="Providers">
        <Badge kind={providers > 0 ? 'good' : 'warn'}>{providers > 0 ? `${providers} online` : 'offline'}</Badge>
        {warm > 0 ? (
          <small title="Holds the model in memory: the first token comes without loading it">{warm} warm</small>
        ) : null}
      </td>
      <td className={styles.action}>
        {playgroundUse(model) ? (
          <Link to="/playground" search={{ model: id }} className={buttonClass('plain', 's')} aria-label={`Try ${id}`}>
            Try
          </Link>
        ) : null}
      </td>
    </tr>
  )
}

function Price({
  label,
  usd,
  lily,
}: {
  readonly label: string
  readonly usd: string
  readonly lily: string | null | undefined
}) {
  return (
    <td className={styles.number} data-label={label}>
      <span className={styles.usd}>{formatUsd(perMillion(usd))}</span>
      {lily ? <small>{formatAmount(perMillion(lily))} LILY</small> : null}
    </td>
  )
}

function Waiting() {
  return [1, 2, 3].map((row) => (
    <tr key={row} className={styles.waiting}>
      <td colSpan={6}>
        <span />
      </td>
    </tr>
  ))
}
