import { type FormEvent, useEffect, useRef, useState } from 'react'
import { Button } from '../ui/button.tsx'
import { Switch } from '../ui/controls.tsx'
import { Field, TextInput } from '../ui/field.tsx'
import styles from './key-form.module.css'
import { useSession } from './session.tsx'

/** Takes the API key, and says where it stays. */
export function KeyForm() {
  const session = useSession()
  const [text, setText] = useState('')
  const [isRemembered, setRemembered] = useState(session.isRemembered)
  const frame = useRef<HTMLDivElement>(null)
  const numberBefore = useRef(session.number)
  // Entering and forgetting put one form in the place of the other: who works by keys stays there.
  useEffect(() => {
    if (numberBefore.current === session.number) return
    numberBefore.current = session.number
    frame.current?.querySelector<HTMLElement>('input, button')?.focus()
  }, [session.number])

  if (session.key !== undefined)
    return (
      <div className={styles.known} ref={frame}>
        <span>
          Key <code>…{session.key.slice(-4)}</code>{' '}
          <span className={styles.soft}>{session.isRemembered ? 'until this tab closes' : 'in memory only'}</span>
        </span>
        <Button size="s" onClick={() => session.leave()}>
          Forget key
        </Button>
      </div>
    )

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const key = text.trim()
    if (key === '') return
    session.enter(key, { remember: isRemembered })
    setText('')
  }
  return (
    <div ref={frame}>
      <form className={styles.form} onSubmit={submit}>
        <Field
          label="API key"
          hint={
            <>
              On a local network: <code>cat .lilypad/gateway/first.key</code>
            </>
          }
        >
          <TextInput
            type="password"
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder="lp-…"
            data-1p-ignore
          />
        </Field>
        <Switch
          label="Keep until this tab closes"
          hint={
            isRemembered
              ? 'In the storage of this tab, where a reload finds it.'
              : 'In memory only: a reload forgets it. It goes to this gateway and nowhere else.'
          }
          isOn={isRemembered}
          onChange={setRemembered}
        />
        <Button look="primary" type="submit" disabled={text.trim() === ''}>
          Use key
        </Button>
      </form>
    </div>
  )
}
