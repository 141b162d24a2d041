import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createRewardVectors } from '../scripts/create-reward-vectors.ts'

test('the reward vectors are those the script writes', () => {
  const file = new URL('../../../contracts/test/vectors/rewards.json', import.meta.url)
  expect(createRewardVectors()).toEqual(JSON.parse(readFileSync(file, 'utf8')))
})
