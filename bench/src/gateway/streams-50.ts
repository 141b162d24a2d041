import { defineBench } from '../bench/define-bench.ts'
import { quantile } from '../bench/rounds.ts'
import { type ChatTarget, type ChatTimes, directName, onGatewayWorkbench } from './gateway-workbench.ts'

const streams = 50
/** A reply of a second, as a small model gives it. */
const reply = { isStreamed: true, words: 40, paceMilliseconds: 25 }

export const gatewayStreams50 = defineBench({
  name: 'gateway.streams50',
  unit: 'ms',
  summary:
    'added to the 99th percentile of the first token while 50 streams run, against 50 streams of the model server itself',
  goal: { of: 'ours', atMost: 10 },
  run: ({ runs = 500, signal, onStep }) =>
    onGatewayWorkbench({ onStep }, async ({ ours: gateway, direct }) => {
      await keepStreams(gateway, 100, signal)
      const reference = await keepStreams(direct, runs, signal)
      const ours = await keepStreams(gateway, runs, signal)
      const of = (times: readonly ChatTimes[], figure: keyof ChatTimes, share: number) =>
        quantile(
          times.map((time) => time[figure]),
          share,
        )
      const added = (figure: keyof ChatTimes, share: number) => of(ours, figure, share) - of(reference, figure, share)
      return {
        ours: added('firstToken', 0.99),
        reference: of(reference, 'firstToken', 0.99),
        referenceName: directName,
        runs,
        notes: [
          `added to the first token: p50 ${added('firstToken', 0.5).toPrecision(3)} ms`,
          `added to a whole reply of a second: p50 ${added('whole', 0.5).toPrecision(3)}, p99 ${added('whole', 0.99).toPrecision(3)} ms`,
        ],
      }
    }),
})

/** Times of streams of which so many are open all the time, each begun when another has ended. */
async function keepStreams(target: ChatTarget, count: number, signal: AbortSignal): Promise<readonly ChatTimes[]> {
  const times: ChatTimes[] = []
  let begun = 0
  const lane = async (index: number) => {
    // Not all at once: what streams at the same time began at different ones.
    await new Promise((resolve) => setTimeout(resolve, (index * 1000) / streams))
    while (begun < count) {
      begun += 1
      signal.throwIfAborted()
      times.push(await target.ask(reply))
    }
  }
  await Promise.all(Array.from({ length: streams }, (_, index) => lane(index)))
  return times
}
