import { expect, test } from 'vitest'
import { frameReader } from './frames.ts'
import { rehearse } from './rehearsal.ts'

test('the rehearsal goes through to an end with output on every way out', () => {
  const read = frameReader()
  const frames: string[] = []
  rehearse((bytes) => {
    for (const { type, payload } of read(bytes.slice()))
      frames.push(`${type} ${Buffer.from(payload).toString('latin1')}`)
  })
  expect(frames).toEqual([
    'stdout \0',
    'stderr \0',
    'file {"path":"output","bytes":1}',
    'data \0',
    'end {"kind":"exited","code":0}',
  ])
})
