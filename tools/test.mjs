// npm test: installs, builds, then every unit and integration test and the contracts' tests.
import { build, install, node, runOrExit } from './bootstrap.mjs'

install()
build()
const only = process.argv.slice(2)
runOrExit(
  'node_modules/.bin/turbo',
  ['run', 'test', '--concurrency=1', '--output-logs=full', '--log-order=grouped', '--continue', ...only],
  { stdio: 'inherit' },
)
if (only.length === 0) runOrExit(node, ['tools/foundry.mjs', 'forge', 'test'], { stdio: 'inherit' })
