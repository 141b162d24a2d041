import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** A socket held by its inode, so that nobody can put another in its place. */
export type PinnedSocket = { readonly path: string; close(): Promise<void> }

// Of Linux; Node does not name it. Opens without reading, also what is no file.
const pathOnly = 0o10000000

/**
 * Takes hold of a socket in a folder that a stranger can write to. Connecting follows symbolic links, and one to the
 * socket of the container engine would let a module speak to it with the provider's rights; so the socket is opened once,
 * without following, and connected to by its descriptor. Undefined while there is none.
 * @throws TypeError when something else lies there
 */
export async function pinSocket(path: string): Promise<PinnedSocket | undefined> {
  // Elsewhere there are no containers that share sockets with the machine, only processes that are trusted.
  if (process.platform !== 'linux') return { path, close: async () => {} }
  let handle: FileHandle
  try {
    handle = await open(path, pathOnly | constants.O_NOFOLLOW)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  if ((await handle.stat()).isSocket()) return { path: `/proc/self/fd/${handle.fd}`, close: () => handle.close() }
  await handle.close()
  throw new TypeError('the server put something else in place of its socket')
}
