#!/usr/bin/env node
// Answers as the `solc` program would, with the npm package: forge then needs no download.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const solc = createRequire(import.meta.url)('solc')
const arguments_ = process.argv.slice(2)

if (arguments_.includes('--version')) {
  console.log('solc, the solidity compiler commandline interface')
  console.log(`Version: ${solc.version()}`)
} else if (arguments_.includes('--standard-json')) {
  const file = arguments_.at(-1)
  const input = file !== undefined && !file.startsWith('-') ? readFileSync(file, 'utf8') : readFileSync(0, 'utf8')
  process.stdout.write(solc.compile(input))
} else {
  console.error('solc.mjs answers --version and --standard-json only.')
  process.exit(1)
}
