// Declarations for `require`: those of ESM under the names of CommonJS.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const dist = new URL('../dist/', import.meta.url).pathname
for (const file of readdirSync(dist, { recursive: true })) {
  if (!file.endsWith('.d.ts')) continue
  const text = readFileSync(join(dist, file), 'utf8').replace(/(['"])(\.{1,2}\/[^'"]+)\.(?:js|ts)\1/g, '$1$2.cjs$1')
  writeFileSync(join(dist, file.replace(/\.d\.ts$/, '.d.cts')), text.replace(/\n\/\/# sourceMappingURL=.*$/m, ''))
}
