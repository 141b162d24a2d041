import { useQuery } from '@tanstack/react-query'
import { KeyRound, ReceiptText } from 'lucide-react'
import { useState } from 'react'
import { PageTitle } from '../app/page-title.tsx'
import { explain, GatewayError } from '../gateway/gateway-error.ts'
import type { UsageRow } from '../gateway/gateway-schema.ts'
import { accountQuery, usageQuery } from '../gateway/queries.ts'
import { formatAmount } from '../money/format-price.ts'
import { ReceiptCard } from '../receipt/receipt-card.tsx'
import { KeyForm } from '../session/key-form.tsx'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Card, Facts } from '../ui/card.tsx'
import { EmptyState, Notice } from '../ui/notice.tsx'
import styles from './account-page.module.css'

/** What the account of the key has, and what it was spent on. */
export function AccountPage() {
  const session = useSession()
  const { data: account, error } = useQuery(accountQuery(session))
  const { data: usage } = useQuery(usageQuery(session))
  return (
    <>
      <PageTitle title="Account" />
      <div className={styles.page}>
        <Card className={styles.part}>
          <KeyForm />
        </Card>
        {session.key === undefined ? (
          <EmptyState icon={<KeyRound size={22} />} title="Whose account?">
            <p>Enter a key above to see its balance and what was spent. The operator makes keys:</p>
            <code className={styles.command}>node servers/gateway/dist/main.js key create &lt;account&gt;</code>
          </EmptyState>
        ) : null}
        {error ? (
          <Notice kind="bad" title={explain(error).title}>
            <span>{explain(error).text}</span>
            {error instanceof GatewayError && error.status === 401 ? (
              <div>
                <Button size="s" onClick={() => session.leave()}>
                  Enter another key
                </Button>
              </div>
            ) : null}
          </Notice>
        ) : null}
        {account ? (
          <Card className={styles.part}>
            <Facts
              facts={[
                ['Available', `${formatAmount(account.available)} LILY`],
                ['Set aside for running requests', `${formatAmount(account.reserved)} LILY`],
                ['Balance', `${formatAmount(account.balance)} LILY`],
              ]}
            />
          </Card>
        ) : null}
        {usage?.length === 0 ? (
          <EmptyState icon={<ReceiptText size={22} />} title="Nothing was spent yet">
            <p>What you ask in the playground, or from a program with this key, is listed here with its receipt.</p>
          </EmptyState>
        ) : null}
        {usage && usage.length > 0 ? <UsageTable rows={usage} /> : null}
      </div>
    </>
  )
}

const shown = 100

function UsageTable({ rows }: { readonly rows: readonly UsageRow[] }) {
  return (
    <section>
      <h2 className={styles.heading}>What was spent</h2>
      <ul className={styles.rows}>
        {rows.slice(0, shown).map((row) => (
          <Row key={row.id} row={row} />
        ))}
      </ul>
      {rows.length > shown ? (
        <p className={styles.more}>The latest {shown} of these. GET /v1/usage?format=csv gives all of them.</p>
      ) : null}
    </section>
  )
}

function Row({ row: { model, kind, createdAt, inputUnits, outputUnits, cost, job } }: { readonly row: UsageRow }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <li className={styles.row}>
      <div className={styles.line}>
        <div className={styles.what}>
          <code>{model}</code>
          <span>
            {kind}, {new Date(createdAt * 1000).toLocaleString()}
          </span>
        </div>
        <span className={styles.units}>
          {inputUnits ?? 0} in, {outputUnits ?? 0} out
        </span>
        <strong className={styles.cost}>{formatAmount(cost)} LILY</strong>
        {job ? (
          <Button size="s" onClick={() => setOpen((now) => !now)} aria-expanded={isOpen}>
            {isOpen ? 'Hide' : 'Check receipt'}
          </Button>
        ) : null}
      </div>
      {isOpen && job ? <ReceiptCard jobId={job} isOpenAtFirst /> : null}
    </li>
  )
}
