import { expect, test } from 'vitest'
import { Turns } from './turns.ts'

test('uploads of one job side by side were each given the whole room: now one begins when the one before has ended', async () => {
  const turns = new Turns()
  const seen: string[] = []
  const work = (name: string, fails = false) =>
    turns.inTurn('job', async () => {
      seen.push(`${name} begins`)
      await new Promise((resolve) => setTimeout(resolve, 5))
      seen.push(`${name} ends`)
      if (fails) throw new RangeError(name)
      return name
    })
  const [first, second, third] = await Promise.allSettled([work('a'), work('b', true), work('c')])
  expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  expect([first.status, second.status, third.status]).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})
