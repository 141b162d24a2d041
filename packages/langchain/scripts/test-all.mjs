// The lane of this package: its tests on the newest and on the lowest core, and what is published.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = new URL('..', import.meta.url).pathname
const bin = (name) => join(root, '../../node_modules/.bin', name)
const steps = [
  ['tests on the newest core', 'vitest', ['run', '--config', '../../vitest.config.ts']],
  ['tests on the lowest core', 'vitest', ['run', '--config', 'vitest.lowest.config.ts']],
  ['what is published', 'publint', ['--strict']],
  // Resolution of before `exports` knows of one entry only.
  ['types of what is published', 'attw', ['--pack', '.', '--profile', 'node16']],
]
for (const [name, command, args] of steps) {
  console.error(`\n== ${name}`)
  const { status } = spawnSync(bin(command), args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
