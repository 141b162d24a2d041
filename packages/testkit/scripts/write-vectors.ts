// Writes contracts/test/vectors/eip712.json. Run it when a signed object changes; a test fails while the file is stale.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createVectors } from './create-vectors.ts'

const file = fileURLToPath(new URL('../../../contracts/test/vectors/eip712.json', import.meta.url))
writeFileSync(file, `${JSON.stringify(await createVectors(), null, 2)}\n`)
console.log(file)
