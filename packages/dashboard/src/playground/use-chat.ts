import { useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useRef, useState } from 'react'
import type { Settlement, TokenUsage } from '../gateway/gateway-schema.ts'
import { useSession } from '../session/session.tsx'
import type { ChatRequest } from './chat-request.ts'
import { streamReply } from './stream-reply.ts'

/** A question and what became of it. */
export type Turn = {
  readonly id: number
  readonly question: string
  readonly request: ChatRequest
  readonly state: 'waiting' | 'streaming' | 'done' | 'stopped' | 'failed'
  readonly text: string
  readonly reasoning: string
  readonly calls: readonly { readonly name: string; readonly arguments: string }[]
  /** Pieces of text that came: about a token each. */
  readonly pieces: number
  readonly startedAt: number
  /** Milliseconds from sending to the first piece, and to the end. */
  readonly firstAfter: number | undefined
  readonly endedAfter: number | undefined
  readonly jobId: string | undefined
  readonly end: { readonly finish: string; readonly usage: TokenUsage; readonly settlement: Settlement } | undefined
  readonly error: unknown
}

/** A conversation with a model. One reply at a time. */
export function useChat() {
  const { key, number } = useSession()
  const queries = useQueryClient()
  const [turns, setTurns] = useState<readonly Turn[]>([])
  const running = useRef<AbortController>(undefined)
  const nextId = useRef(1)

  // Who leaves the page stops the work.
  useEffect(() => () => running.current?.abort(), [])

  const ask = useCallback(
    async (question: string, request: ChatRequest, maxPrice: string) => {
      const id = nextId.current++
      const stop = new AbortController()
      running.current = stop
      const startedAt = performance.now()
      const change = (next: (turn: Turn) => Partial<Turn>) =>
        setTurns((all) => all.map((turn) => (turn.id === id ? { ...turn, ...next(turn) } : turn)))
      setTurns((all) => [
        ...all,
        {
          id,
          question,
          request,
          state: 'waiting',
          text: '',
          reasoning: '',
          calls: [],
          pieces: 0,
          startedAt,
          firstAfter: undefined,
          endedAfter: undefined,
          jobId: undefined,
          end: undefined,
          error: undefined,
        },
      ])
      const ended = () => performance.now() - startedAt
      try {
        for await (const step of streamReply({ key, body: request, maxPrice, signal: stop.signal })) {
          if (step.kind === 'job') change(() => ({ jobId: step.id }))
          else if (step.kind === 'end')
            change(() => ({ end: step, jobId: step.settlement.job_id, state: 'done', endedAfter: ended() }))
          else {
            const at = ended()
            change((turn) => ({
              state: 'streaming',
              firstAfter: turn.firstAfter ?? at,
              pieces: turn.pieces + 1,
              ...(step.kind === 'text' ? { text: turn.text + step.text } : {}),
              ...(step.kind === 'reasoning' ? { reasoning: turn.reasoning + step.text } : {}),
              ...(step.kind === 'call' ? { calls: withCall(turn.calls, step) } : {}),
            }))
          }
        }
      } catch (error) {
        change(() => ({
          ...(stop.signal.aborted ? { state: 'stopped' } : { state: 'failed', error }),
          endedAfter: ended(),
        }))
      } finally {
        if (running.current === stop) running.current = undefined
        void queries.invalidateQueries({ queryKey: ['account', number] })
        void queries.invalidateQueries({ queryKey: ['usage', number] })
      }
    },
    [key, number, queries],
  )
  const last = turns.at(-1)
  return {
    turns,
    isRunning: last?.state === 'waiting' || last?.state === 'streaming',
    ask,
    stop: () => running.current?.abort(),
    clear: () => setTurns([]),
  }
}

function withCall(
  calls: Turn['calls'],
  { index, name, arguments: text }: { readonly index: number; readonly name: string; readonly arguments: string },
): Turn['calls'] {
  const known = calls[index] ?? { name: '', arguments: '' }
  return calls.toSpliced(index, 1, { name: known.name || name, arguments: known.arguments + text })
}
