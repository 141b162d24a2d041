import { jobOrderType } from '@lilypad-agents/protocol'
import { recoverTypedDataAddress } from 'viem'
import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { openSigners, perSecond, sampleDomain, sampleOrders, toTypedData } from './sample-orders.ts'

export const protocolVerify = defineBench({
  name: 'protocol.verify',
  unit: 'orders/s',
  summary: 'signers of orders found (EIP-712 hash, recovery) one after another, against viem',
  goal: { of: 'ratio', atLeast: 10 },
  async run({ runs = 30, signal }) {
    const { backend, signer } = openSigners()
    const signed = sampleOrders(1000).map((order) => ({
      order,
      signature: jobOrderType.sign(sampleDomain, order, signer),
    }))
    const typed = signed.slice(0, 40).map(({ order, signature }) => ({ ...toTypedData(order), signature }))
    const assertSigner = (found: string | undefined) => {
      if (found?.toLowerCase() !== signer.address) throw new TypeError('another signer was found')
    }
    const rounds = await measureRounds({
      runs,
      warmups: 3,
      signal,
      ours: () =>
        perSecond(signed.length, () => {
          for (const { order, signature } of signed)
            assertSigner(jobOrderType.findSigner(sampleDomain, order, signature))
        }),
      reference: () =>
        perSecond(typed.length, async () => {
          for (const order of typed) assertSigner(await recoverTypedDataAddress(order))
        }),
    })
    return {
      ours: median(rounds.ours),
      reference: median(rounds.reference),
      referenceName: 'viem recoverTypedDataAddress',
      runs,
      notes: [`backend: ${backend}`, describeSpread(rounds)],
    }
  },
})
