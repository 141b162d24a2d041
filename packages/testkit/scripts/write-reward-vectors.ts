// Writes contracts/test/vectors/rewards.json. Run it when the reward formula changes; a test fails while the file is stale.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createRewardVectors } from './create-reward-vectors.ts'

const file = fileURLToPath(new URL('../../../contracts/test/vectors/rewards.json', import.meta.url))
writeFileSync(file, `${JSON.stringify(createRewardVectors())}\n`)
console.log(file)
