import { expect, test } from 'vitest'
import type { GpuLimits } from '../module/module-limits.ts'
import { GpuOffer, hasGpusFor, isModelResident } from './gpu-offer.ts'

const GiB = 1024 ** 3
const model = `0x${'11'.repeat(32)}` as const
const offer = (change: Partial<GpuOffer> = {}): GpuOffer => ({
  vendor: 'nvidia',
  name: 'L4',
  memoryBytes: 24 * GiB,
  freeBytes: 20 * GiB,
  reclaimableBytes: 0,
  residentModels: [],
  ...change,
})

test.each<[string, readonly GpuOffer[], GpuLimits, boolean]>([
  ['nothing', [], { count: 1, memoryBytes: GiB }, false],
  ['enough room', [offer()], { count: 1, memoryBytes: 20 * GiB }, true],
  ['too little room', [offer()], { count: 1, memoryBytes: 20 * GiB + 1 }, false],
  ['room that idle models make', [offer({ reclaimableBytes: 1 })], { count: 1, memoryBytes: 20 * GiB + 1 }, true],
  ['another vendor', [offer()], { count: 1, memoryBytes: GiB, vendor: 'amd' }, false],
  ['two of a kind', [offer(), offer()], { count: 2, memoryBytes: GiB, vendor: 'nvidia' }, true],
  ['two of two kinds', [offer(), offer({ name: 'T4' })], { count: 2, memoryBytes: GiB }, false],
])('with %s', (_, offers, need, expected) => {
  expect(hasGpusFor([...offers], need)).toBe(expected)
})

test('finds a model that is loaded', () => {
  expect(isModelResident([offer(), offer({ residentModels: [model] })], model)).toBe(true)
  expect(isModelResident([offer()], model)).toBe(false)
})

test('refuses a UUID', () => {
  expect(GpuOffer.safeParse(offer()).success).toBe(true)
  expect(GpuOffer.safeParse({ ...offer(), uuid: 'GPU-1' }).success).toBe(false)
})
