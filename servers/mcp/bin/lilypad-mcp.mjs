#!/usr/bin/env node
// Committed as it is, because npm links a command only when its file exists at install time, before anything is built.
// Hands over to Node 24, which the package `node` brings, when the machine's own Node is older.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../dist/bundle/lilypad-mcp.js', import.meta.url))
if (!existsSync(main)) {
  process.stderr.write('lilypad-mcp: not built yet. Run `npm start` or `npm run build` first.\n')
  process.exit(5)
}
const [major = 0] = process.versions.node.split('.').map(Number)
const runtime =
  major >= 24
    ? process.execPath
    : join(
        dirname(createRequire(import.meta.url).resolve('node/package.json')),
        'bin',
        process.platform === 'win32' ? 'node.exe' : 'node',
      )
const child = spawn(runtime, ['--disable-warning=ExperimentalWarning', main, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
