// npm run gateway: the gateway over the local network of `npm start`, with its session key; the first start writes an API key.
import { build, install, become } from './bootstrap.mjs'

install()
build()
const local = {
  'key-file': '.lilypad/keys/session.key',
  'grant-file': '.lilypad/grant.json',
  'first-key-file': '.lilypad/gateway/first.key',
}
const flags = Object.entries(local).flatMap(([name, file]) => [`--${name}`, file])
become(['servers/gateway/dist/main.js', 'serve', ...flags, ...process.argv.slice(2)])
