import { rmSync, mkdirSync, realpathSync } from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LilypadError, sha256 } from '@lilypad-agents/protocol'

/**
 * Keeps a second process of a service off the same state directory, which would corrupt an embedded database. It holds a
 * listening local socket rather than a lock file: the kernel takes the socket down with the process, so kill -9 leaves
 * nothing that blocks the next start.
 * @throws LilypadError `CONFIG_INVALID` when another process holds the directory
 */
export async function lockStateDirectory(
  directory: string,
  options: {
    /** Name of the service, as its user knows it. Others may share the directory. */
    readonly service: string
  },
): Promise<{ release(): Promise<void> }> {
  const { service } = options
  mkdirSync(directory, { recursive: true })
  const name = `lilypad-${service}-${sha256(realpathSync(directory)).slice(2, 26)}`
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`)
  const server = (await listen(path)) ?? (await takeOver(path))
  if (!server) {
    throw new LilypadError('CONFIG_INVALID', `Another ${service} is already using this state directory.`, {
      details: [`State directory: ${directory}`],
      hint: `stop the other ${service}, or start this one with another \`--state-dir\``,
    })
  }
  server.unref()
  return { release: () => new Promise((resolve) => server.close(() => resolve())) }
}

async function takeOver(path: string): Promise<Server | undefined> {
  if (await isAlive(path)) return undefined
  rmSync(path, { force: true })
  return listen(path)
}

function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(path, () => resolve(server))
  })
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
