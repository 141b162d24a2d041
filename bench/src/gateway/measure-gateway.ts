import type { BenchContext, Measurement } from '../bench/define-bench.ts'
import { measureRounds, median, quantile } from '../bench/rounds.ts'
import { type ChatAsk, type ChatTimes, directName, onGatewayWorkbench } from './gateway-workbench.ts'

/** Milliseconds that the gateway and all behind it add to one figure of a request: the median of the differences of the rounds. */
export function measureGateway(
  figure: keyof ChatTimes,
  ask: ChatAsk,
  { runs = 300, signal, onStep }: BenchContext,
): Promise<Measurement | { readonly skipped: string }> {
  return onGatewayWorkbench({ onStep }, async ({ ours: gateway, direct }) => {
    const { ours, reference } = await measureRounds({
      runs,
      warmups: 100,
      // What settling the last request leaves behind is not part of the next one.
      restMilliseconds: 10,
      signal,
      ours: async () => (await gateway.ask(ask))[figure],
      reference: async () => (await direct.ask(ask))[figure],
    })
    const added = ours.map((time, round) => time - (reference[round] ?? time))
    return {
      ours: median(added),
      reference: median(reference),
      referenceName: directName,
      runs,
      notes: [
        `through the gateway ${median(ours).toPrecision(3)} ms`,
        `added: p90 ${quantile(added, 0.9).toPrecision(3)}, p99 ${quantile(added, 0.99).toPrecision(3)} ms`,
        'each request is priced, ordered, reserved, run, verified, paid and charged',
      ],
    }
  })
}
