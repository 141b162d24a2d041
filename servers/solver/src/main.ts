#!/usr/bin/env node
import process from 'node:process'
import { toLilypadError } from '@lilypad-agents/protocol'
import { readConfig } from './config.ts'
import { startSolver } from './start-solver.ts'

try {
  const solver = await startSolver(readConfig(process.argv.slice(2), process.env))
  let isClosing = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isClosing) return
      isClosing = true
      // Everything is on disk already, so a close that hangs is cut off.
      setTimeout(() => process.exit(0), 5000).unref()
      solver.close().then(
        () => process.exit(0),
        () => process.exit(1),
      )
    })
  }
} catch (error) {
  const { code, message } = toLilypadError(error)
  process.stderr.write(`${JSON.stringify({ level: 'fatal', code, msg: message })}\n`)
  process.exit(1)
}
