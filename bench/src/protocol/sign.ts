import { jobOrderType } from '@lilypad-agents/protocol'
import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { openSigners, perSecond, sampleDomain, sampleOrders, toTypedData } from './sample-orders.ts'

export const protocolSign = defineBench({
  name: 'protocol.sign',
  unit: 'orders/s',
  summary: 'orders hashed (EIP-712) and signed one after another, against viem',
  goal: null,
  async run({ runs = 30, signal }) {
    const { backend, signer, account } = openSigners()
    const orders = sampleOrders(2000)
    const typedOrders = orders.slice(0, 100).map(toTypedData)
    const [first] = orders
    const [firstTyped] = typedOrders
    if (
      first &&
      firstTyped &&
      jobOrderType.sign(sampleDomain, first, signer) !== (await account.signTypedData(firstTyped))
    )
      throw new TypeError('the two sides do not sign the same')
    const rounds = await measureRounds({
      runs,
      warmups: 3,
      signal,
      ours: () =>
        perSecond(orders.length, () => {
          for (const order of orders) jobOrderType.sign(sampleDomain, order, signer)
        }),
      reference: () =>
        perSecond(typedOrders.length, async () => {
          for (const order of typedOrders) await account.signTypedData(order)
        }),
    })
    return {
      ours: median(rounds.ours),
      reference: median(rounds.reference),
      referenceName: 'viem account.signTypedData',
      runs,
      notes: [`backend: ${backend}`, describeSpread(rounds)],
    }
  },
})
