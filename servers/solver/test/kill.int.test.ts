import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { reservationType } from '@lilypad-agents/protocol'
import { createSolverClient } from '@lilypad-agents/sdk'
import { describe, expect, test } from 'vitest'
import { createOrder, domain } from './fixtures.ts'
import { connectProvider, createStateDir, until } from './harness.ts'

describe('kill -9', () => {
  test('at any moment loses no order that was answered and breaks no chain of reservations', async () => {
    const stateDir = await createStateDir()
    const children: ChildProcess[] = []
    const start = async () => {
      const child = spawn(
        process.execPath,
        ['--conditions=source', fileURLToPath(new URL('./solver-process.ts', import.meta.url)), stateDir],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: { ...process.env, NODE_OPTIONS: '' },
        },
      )
      children.push(child)
      const [line] = (await Promise.race([once(child.stdout ?? process.stdin, 'data'), once(child, 'exit')])) as [
        Buffer,
      ]
      return { child, url: String(line).trim() }
    }
    const answered = new Map<`0x${string}`, { sequence: number; previous: string; hash: string }>()
    const orders: ReturnType<typeof createOrder>[] = []
    try {
      for (const killAfterOrders of [1, 12]) {
        const { child, url } = await start()
        const client = createSolverClient({ url, domain })
        const provider = await connectProvider(url)
        const work = (async () => {
          for (;;) {
            const parts = createOrder({ change: { lane: 80 } })
            orders.push(parts)
            const view = await client.postOrder(parts.request)
            const reservation = view.reservation?.reservation
            if (!reservation) throw new Error('no reservation')
            answered.set(parts.orderHash, {
              sequence: reservation.sequence,
              previous: reservation.previous,
              hash: reservationType.hash(domain, reservation),
            })
          }
        })().catch(() => {})
        // Orders go on while it dies, so that it dies inside one.
        const enough = answered.size + killAfterOrders
        await until(() => answered.size >= enough, 60_000)
        child.kill('SIGKILL')
        await work
        await provider.close().catch(() => {})
      }
      const { child, url } = await start()
      const client = createSolverClient({ url, domain })
      const provider = await connectProvider(url)
      const chain = []
      for (const parts of orders) {
        const { reservation } = (await client.postOrder(parts.request)).reservation ?? {}
        if (!reservation) throw new Error('no reservation')
        const before = answered.get(parts.orderHash)
        if (before) expect(reservationType.hash(domain, reservation)).toBe(before.hash)
        chain.push(reservation)
      }
      chain.sort((a, b) => a.sequence - b.sequence)
      expect(chain.map(({ sequence }) => sequence)).toEqual(chain.map((_, index) => index + 1))
      for (const [index, reservation] of chain.entries()) {
        const previous = chain[index - 1]
        if (previous) expect(reservation.previous).toBe(reservationType.hash(domain, previous))
      }
      expect(answered.size).toBeGreaterThan(3)
      await provider.close()
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      expect((await exited)[0]).toBe(0)
    } finally {
      for (const child of children) child.kill('SIGKILL')
      await rm(stateDir, { recursive: true, force: true })
    }
  }, 180_000)
})
