import { Check, Copy } from 'lucide-react'
import { useEffect, useState } from 'react'
import { Button } from './button.tsx'

/** Copies a text and says that it did. */
export function CopyButton({
  text,
  label,
  isSmall = false,
}: {
  readonly text: string
  readonly label: string
  /** The sign alone, beside what it copies. */
  readonly isSmall?: boolean
}) {
  const [said, setSaid] = useState<'copied' | 'failed'>()
  useEffect(() => {
    if (!said) return
    const timer = setTimeout(() => setSaid(undefined), 2000)
    return () => clearTimeout(timer)
  }, [said])

  const copy = async () => {
    try {
      // Absent where the page came over plain HTTP from another machine.
      await navigator.clipboard.writeText(text)
      setSaid('copied')
    } catch {
      setSaid('failed')
    }
  }
  return (
    <Button look="quiet" size="s" onClick={copy} aria-label={label}>
      {said === 'copied' ? <Check size={15} aria-hidden /> : <Copy size={15} aria-hidden />}
      <span aria-live="polite" className={isSmall && said !== 'failed' ? 'visually-hidden' : undefined}>
        {said === 'copied' ? 'Copied' : said === 'failed' ? 'Select and copy' : 'Copy'}
      </span>
    </Button>
  )
}
