// npm run bench [-- --only <prefix>] [--json]: every benchmark, ours against a reference measured in the same run.
import { become, build, install } from './bootstrap.mjs'

install()
build()
become(['bench/dist/main.js', ...process.argv.slice(2)])
