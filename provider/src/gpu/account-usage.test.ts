import { expect, test } from 'vitest'
import { accountUsage } from './account-usage.ts'
import type { Gpu } from './gpu.ts'
import { usableBytes } from './gpu-memory.ts'
import { VramLedger } from './vram-ledger.ts'

const GiB = 1024 ** 3
const card = (uuid: string): Gpu => ({ uuid, vendor: 'nvidia', name: 'L4', memoryBytes: 24 * GiB, driver: '1' })

test('tells what runs use from what others use, and who took too much', () => {
  const ledger = new VramLedger([card('a'), card('b')])
  const ask = (memoryBytes: number) =>
    ledger.reserve({ program: 'p', need: { count: 1, memoryBytes }, isExclusive: false })?.id ?? 0
  const [modest, greedy] = [ask(4 * GiB), ask(2 * GiB)]
  const processes = [
    { pid: 1, uuid: 'a', usedBytes: GiB },
    { pid: 2, uuid: 'a', usedBytes: 2 * GiB },
    { pid: 3, uuid: 'a', usedBytes: 3 * GiB },
    { pid: 9, uuid: 'b', usedBytes: 5 * GiB },
    { pid: 9, uuid: 'elsewhere', usedBytes: GiB },
  ]
  const owners = new Map([
    [1, modest],
    [2, modest],
    [3, greedy],
  ])
  expect(accountUsage(ledger, processes, owners)).toEqual(new Set([greedy]))
  expect(ledger.freeBytes(card('a'))).toBe(usableBytes(card('a')) - 7 * GiB)
  expect(ledger.freeBytes(card('b'))).toBe(usableBytes(card('b')) - 5 * GiB)
  expect(accountUsage(ledger, [], owners)).toEqual(new Set())
  expect(ledger.freeBytes(card('b'))).toBe(usableBytes(card('b')))
})
