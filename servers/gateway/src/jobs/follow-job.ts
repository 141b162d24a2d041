import { type Bytes32, isFinal, type JobState } from '@lilypad-agents/protocol'
import type { GatewayContext } from '../context.ts'

/** How far a reader came: the last event of the relay, and the last piece of the run's stream. */
export type JobPlace = { readonly sequence: number; readonly attempt: number; readonly index: number }

export type JobHappening =
  | { readonly type: 'state'; readonly state: JobState; readonly at: number }
  | { readonly type: 'progress'; readonly fraction: number; readonly text: string }
  /** `data` is Base64: a program's bytes, checked against the ones before. */
  | { readonly type: 'output'; readonly channel: string; readonly attempt: number; readonly data: string }
  | { readonly type: 'file'; readonly path: string; readonly bytes: number; readonly sha256: string }

const pauseMilliseconds = 300
const over: readonly JobState[] = ['delivered', 'acknowledged', 'settled', 'disputed', 'upheld']
const isOver = (state: JobState) => isFinal(state) || over.includes(state)

/** Reads the place that a reader names. */
export function parsePlace(text: string | undefined): JobPlace {
  const [, sequence, attempt, index] = /^(\d{1,12})\.(\d{1,7})\.(-?\d{1,12})$/.exec(text ?? '') ?? []
  return { sequence: Number(sequence ?? 0), attempt: Number(attempt ?? 0), index: Number(index ?? -1) }
}

export const formatPlace = ({ sequence, attempt, index }: JobPlace): string => `${sequence}.${attempt}.${index}`

/** Sends what happens to a job, from a place on, until the job is over. States and what the program says come side by side. */
export async function followJob(
  context: GatewayContext,
  orderHash: Bytes32,
  options: {
    readonly from: JobPlace
    readonly signal: AbortSignal
    readonly send: (happening: JobHappening, place: JobPlace) => Promise<void>
  },
): Promise<void> {
  const { client } = context
  const { from, send } = options
  let place = from
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])

  async function followStates(): Promise<void> {
    for (;;) {
      for await (const event of client.watchJob(orderHash, { after: place.sequence, signal })) {
        if (event.type === 'chunk' || event.type === 'step') continue
        place = { ...place, sequence: event.sequence }
        if (event.type === 'progress') {
          await send({ type: 'progress', fraction: event.fraction, text: event.text }, place)
          continue
        }
        await send({ type: 'state', state: event.state, at: event.at }, place)
        if (isOver(event.state)) return
      }
      const { state } = await client.getJob(orderHash)
      if (isOver(state)) return
      await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds))
      signal.throwIfAborted()
    }
  }

  async function followStream(): Promise<void> {
    for await (const piece of client.stream(orderHash, { signal })) {
      const { attempt, index } = piece
      const isSeen = attempt < from.attempt || (attempt === from.attempt && index <= from.index)
      if (isSeen) continue
      place = { ...place, attempt, index }
      if (piece.channel === 'file') {
        const { path, bytes, sha256 } = piece.file
        await send({ type: 'file', path, bytes, sha256 }, place)
      } else {
        const data = Buffer.from(piece.bytes).toString('base64')
        await send({ type: 'output', channel: piece.channel, attempt, data }, place)
      }
    }
  }

  try {
    await Promise.all([followStates(), followStream()])
  } finally {
    stop.abort()
  }
}
