#!/usr/bin/env node
import module from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'

// What is read before this check has to run on any Node; the rest is a file of its own.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(
    `lilypad-mcp needs Node 22.13 or newer; this is ${process.versions.node}. Install a newer one, or start it as \`npx -y node@24 <this file>\`.\n`,
  )
  process.exit(5)
}

/** Where compiled code is kept between starts: a folder that other users cannot write to, since it is run. */
function cacheDirectory(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  return join(XDG_CACHE_HOME || LOCALAPPDATA || join(homedir(), '.cache'), 'lilypad-mcp')
}

// V8 doubles the space of young objects while a program starts, 5 MB that are never needed again, and lets old ones pile up to several
// times what is alive before it looks for them. A server that stands beside its user all day is better small.
setFlagsFromString('--semi-space-growth-factor=1')
setFlagsFromString('--heap-growing-percent=10')
// Halves the time to read the code at every start but the first. Where it cannot be kept, nothing else changes.
module.enableCompileCache?.(cacheDirectory())
await import('./main.ts')
