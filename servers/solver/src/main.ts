#!/usr/bin/env node
import process from 'node:process'
import { toLilypadError } from '@lilypad-agents/protocol'
import { readConfig } from './config.ts'
import { startSolver } from './start-solver.ts'

// Before the start, so that a signal that comes during it closes what was opened.
const stopping = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // Everything is on disk already, so a close that hangs is cut off.
      setTimeout(() => process.exit(0), 5000).unref()
      resolve()
    })
  }
})

try {
  const solver = await startSolver(readConfig(process.argv.slice(2), process.env))
  await stopping
  await solver.close().catch(() => process.exit(1))
  process.exit(0)
} catch (error) {
  const { code, message } = toLilypadError(error)
  process.stderr.write(`${JSON.stringify({ level: 'fatal', code, msg: message })}\n`)
  process.exit(1)
}
