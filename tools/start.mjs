// npm start: installs, builds, starts a local network, runs one real job. `npm start -- --help` lists the options.
import { become, build, install } from './bootstrap.mjs'

install()
build()
become(['packages/cli/dist/main.js', 'up', ...process.argv.slice(2)])
