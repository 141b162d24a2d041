import { Collapsible } from '@base-ui/react/collapsible'
import { useQuery } from '@tanstack/react-query'
import { Check, ChevronDown, Download, ExternalLink, LoaderCircle, ShieldAlert, ShieldCheck, X } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { explain } from '../gateway/gateway-error.ts'
import { jobQuery, networkQuery } from '../gateway/queries.ts'
import { formatAmount } from '../money/format-price.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { CopyButton } from '../ui/copy-button.tsx'
import { type DescribedCheck, groupChecks } from './describe-check.ts'
import styles from './receipt-card.module.css'
import { type CheckedReceipt, receiptQuery } from './receipt-query.ts'
import type { ReceiptVerdict, Seen } from './verify-receipt.ts'

/** The receipt of a job, fetched and checked in this browser. */
export function ReceiptCard({
  jobId,
  seen,
  isOpenAtFirst = false,
}: {
  readonly jobId: string
  readonly seen?: Seen | undefined
  readonly isOpenAtFirst?: boolean
}) {
  const { key } = useSession()
  const { data, error } = useQuery(receiptQuery(key, jobId, seen))
  const spoken = data ? (data.verdict.ok ? 'The receipt holds.' : 'The receipt was refused.') : 'Checking the receipt.'
  return (
    <div>
      <p className="visually-hidden" role="status">
        {error ? '' : spoken}
      </p>
      {data ? (
        <Verdict jobId={jobId} data={data} isOpenAtFirst={isOpenAtFirst} />
      ) : error ? (
        <div className={styles.card} data-verdict="refused">
          <p className={styles.line} role="alert">
            <ShieldAlert size={18} aria-hidden /> The receipt could not be fetched. {explain(error).title}.{' '}
            {explain(error).text}
          </p>
        </div>
      ) : (
        <div className={styles.card}>
          <p className={styles.line}>
            <LoaderCircle size={18} className={styles.spin} aria-hidden /> Checking the receipt in this browser…
          </p>
        </div>
      )}
    </div>
  )
}

function Verdict({
  jobId,
  data,
  isOpenAtFirst,
}: {
  readonly jobId: string
  readonly data: CheckedReceipt
  readonly isOpenAtFirst: boolean
}) {
  const [isOpen, setOpen] = useState(isOpenAtFirst)
  const { verdict, bundle, outputs } = data
  const failed = verdict.checks.filter(({ ok }) => !ok)
  return (
    <Collapsible.Root
      className={styles.card}
      data-verdict={verdict.ok ? 'verified' : 'refused'}
      open={isOpen || !verdict.ok}
      onOpenChange={setOpen}
    >
      <Collapsible.Trigger className={styles.summary} disabled={!verdict.ok}>
        {verdict.ok ? <ShieldCheck size={20} aria-hidden /> : <ShieldAlert size={20} aria-hidden />}
        <span className={styles.title}>
          <strong>{verdict.ok ? 'Verified in this browser' : 'Refused by this browser'}</strong>
          <span>
            {verdict.ok
              ? `${verdict.checks.length} of ${verdict.checks.length} checks hold`
              : `${failed.length} of ${verdict.checks.length} checks do not hold`}
          </span>
        </span>
        {verdict.ok ? <ChevronDown size={18} className={styles.chevron} aria-hidden /> : null}
      </Collapsible.Trigger>
      <Collapsible.Panel className={styles.panel}>
        {failed.length > 0 ? <CheckList title="What does not hold" checks={failed} /> : null}
        <Facts verdict={verdict} />
        <div className={styles.groups}>
          {groupChecks(verdict.checks).map(({ group, checks }) => (
            <CheckList key={group} title={group} checks={checks} />
          ))}
        </div>
        <Settled jobId={jobId} />
        <div className={styles.foot}>
          <Button size="s" onClick={() => save('receipt.json', new Blob([JSON.stringify(bundle, null, 2)]))}>
            <Download size={15} aria-hidden /> receipt.json
          </Button>
          {[...outputs].map(([path, bytes]) => (
            <Button key={path} size="s" onClick={() => save(path, new Blob([bytes as BlobPart]))}>
              <Download size={15} aria-hidden /> {path}
            </Button>
          ))}
          <p>
            Save them into one folder, and <code>npx lilypad verify &lt;folder&gt;</code> makes the same checks without
            this page.
          </p>
        </div>
      </Collapsible.Panel>
    </Collapsible.Root>
  )
}

function CheckList({ title, checks }: { readonly title: string; readonly checks: readonly DescribedCheck[] }) {
  return (
    <section className={styles.group}>
      <h4>{title}</h4>
      <ul>
        {checks.map(({ name, ok, sentence, evidence }) => (
          <li key={name} className={styles.check} data-ok={ok}>
            {ok ? <Check size={15} aria-label="holds" /> : <X size={15} aria-label="does not hold" />}
            <div>
              <span>{sentence}</span>
              <small title={evidence}>{evidence}</small>
            </div>
          </li>
        ))}
      </ul>
    </section>
  )
}

function Facts({ verdict: { facts } }: { readonly verdict: ReceiptVerdict }) {
  if (!facts) return null
  const rows: readonly (readonly [string, ReactNode])[] = [
    ['Price', `${formatAmount(Number(facts.price) / 1e18)} LILY`],
    ['Units', `${facts.inputUnits.toLocaleString('en-US')} in, ${facts.outputUnits.toLocaleString('en-US')} out`],
    ['Provider', <Digest key="provider" text={facts.provider} label="address of the provider" />],
    ['Module', facts.module],
    ['Solver', <Digest key="solver" text={facts.solver} label="address of the solver" />],
    ['Finished', new Date(facts.finishedAt * 1000).toLocaleString()],
  ]
  return (
    <dl className={styles.facts}>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** A long hexadecimal text, shortened, with the whole of it to copy. */
function Digest({ text, label }: { readonly text: string; readonly label: string }) {
  return (
    <span className={styles.digest}>
      <code title={text}>
        {text.slice(0, 8)}…{text.slice(-6)}
      </code>
      <CopyButton text={text} label={`Copy ${label}`} isSmall />
    </span>
  )
}

/** Where the payment is on chain, as soon as the provider has settled it. */
function Settled({ jobId }: { readonly jobId: string }) {
  const { key } = useSession()
  const { data: job } = useQuery(jobQuery(key, jobId))
  const { data: network } = useQuery(networkQuery)
  if (!job) return null
  if (!job.tx)
    return (
      <p className={styles.settled}>
        {job.cost === '0'
          ? 'This job cost nothing: there is no payment to settle.'
          : 'The payment is signed. The provider collects it on chain by itself, many jobs at a time.'}
      </p>
    )
  return (
    <p className={styles.settled}>
      Settled on chain in transaction <Digest text={job.tx} label="transaction" />
      {network?.explorer_url ? (
        <a href={`${network.explorer_url.replace(/\/+$/, '')}/tx/${job.tx}`} target="_blank" rel="noreferrer">
          Open in explorer <ExternalLink size={14} aria-hidden />
        </a>
      ) : null}
    </p>
  )
}

function save(path: string, blob: Blob): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = path.split('/').at(-1) ?? path
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 1000)
}
