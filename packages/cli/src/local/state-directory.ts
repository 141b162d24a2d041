import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Hex, LilypadError } from '@lilypad-agents/protocol'
import { readKeyFile, writeKeyFile } from '@lilypad-agents/sdk/node'

/** Who has a key on a local network. */
export const localRoles = ['deployer', 'solver', 'provider', 'author', 'requester', 'session'] as const
export type LocalRole = (typeof localRoles)[number]

/** Where a local network keeps everything. */
export type StateDirectory = {
  readonly path: string
  readonly networkFile: string
  readonly grantFile: string
  readonly chainStateFile: string
  keyFile(role: LocalRole): string
  /** Reads the role's key, or makes it the first time. */
  key(role: LocalRole): Hex
  logFile(name: string): string
  pidFile(name: string): string
  directory(name: string): string
  /** Throws when another process runs on this folder; otherwise takes it until `unlock`. */
  lock(): void
  unlock(): void
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Names what is in a state folder. The folder is made when something is first written into it. */
export function openStateDirectory(path: string): StateDirectory {
  const root = resolve(path)
  const lockFile = join(root, 'up.pid')
  const keyFile = (role: LocalRole) => join(root, 'keys', `${role}.key`)
  return {
    path: root,
    networkFile: join(root, 'network.json'),
    grantFile: join(root, 'grant.json'),
    chainStateFile: join(root, 'chain', 'state.json'),
    keyFile,
    key: (role) => (existsSync(keyFile(role)) ? readKeyFile(keyFile(role)) : writeKeyFile(keyFile(role))),
    logFile: (name) => join(root, 'logs', `${name}.log`),
    pidFile: (name) => join(root, 'pids', name),
    directory(name) {
      const directory = join(root, name)
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      return directory
    },
    lock() {
      mkdirSync(root, { recursive: true, mode: 0o700 })
      const holder = existsSync(lockFile) ? Number(readFileSync(lockFile, 'utf8')) : undefined
      if (holder && holder !== process.pid && isAlive(holder)) {
        throw new LilypadError('STATE_CONFLICT', 'A local network already runs on this folder.', {
          details: [`Folder: ${root}   Process: ${holder}`],
          hint: 'stop it with Ctrl-C in its terminal, or name another folder with --state-dir',
        })
      }
      writeFileSync(lockFile, String(process.pid), { mode: 0o600 })
    },
    unlock: () => rmSync(lockFile, { force: true }),
  }
}
