import { defineBench } from '../bench/define-bench.ts'
import { median } from '../bench/rounds.ts'
import { type ChatTarget, onGatewayWorkbench } from './gateway-workbench.ts'
import { openRivals } from './rivals.ts'

const clients = 16
const milliseconds = 4000

export const gatewayThroughput = defineBench({
  name: 'gateway.throughput',
  unit: 'requests/s',
  summary: 'chat requests a second with one core for the gateway, against the fastest other gateway that installs here',
  goal: { of: 'ratio', atLeast: 1 },
  run: ({ runs = 3, signal, onStep }) =>
    onGatewayWorkbench({ onStep, isPinned: true }, async ({ ours, direct, cores }) => {
      const rivals = await openRivals(cores, onStep)
      try {
        const targets = [ours, ...rivals.targets, direct]
        const rates = new Map<ChatTarget, number[]>(targets.map((target) => [target, []]))
        for (let round = -1; round < runs; round += 1)
          for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
            const rate = await measureRate(target, signal)
            if (round >= 0) rates.get(target)?.push(rate)
          }
        const rateOf = (target: ChatTarget) => median(rates.get(target) ?? [])
        const [best] = rivals.targets.toSorted((a, b) => rateOf(b) - rateOf(a))
        if (best === undefined) return { skipped: rivals.notes.join('; ') }
        return {
          ours: rateOf(ours),
          reference: rateOf(best),
          referenceName: `${best.name}, over the same model server`,
          runs,
          notes: [
            ...targets.map((target) => `${target.name} ${rateOf(target).toPrecision(4)}`),
            ...rivals.notes,
            'client, model server and what is behind our gateway (solver, provider, chain) share the other cores',
          ],
        }
      } finally {
        await rivals.close()
      }
    }),
})

/** Requests a second of clients that each ask again when they are answered. */
async function measureRate(target: ChatTarget, signal: AbortSignal): Promise<number> {
  let answered = 0
  const begin = performance.now()
  const client = async () => {
    while (performance.now() - begin < milliseconds) {
      signal.throwIfAborted()
      await target.ask({ isStreamed: false })
      answered += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return answered / ((performance.now() - begin) / 1000)
}
