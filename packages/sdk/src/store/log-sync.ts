import { close, fdatasync, open } from 'node:fs'
import { promisify } from 'node:util'

const [openFile, syncFile, closeFile] = [promisify(open), promisify(fdatasync), promisify(close)]

/**
 * Brings SQLite's log to the disk off the main thread, and what many transactions wrote with one sync: whoever asks while one runs is
 * served by the next.
 */
export function createLogSync(path: string) {
  let file: Promise<number> | undefined
  let running: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined

  async function sync(): Promise<void> {
    file ??= openFile(path, 'r+')
    try {
      await syncFile(await file)
    } catch (error) {
      file = undefined
      throw error
    }
  }

  return {
    /** Resolves when what was committed before is on the disk. */
    flush(): Promise<void> {
      next ??= running
        .catch(() => {})
        .then(() => {
          next = undefined
          running = sync()
          return running
        })
      return next
    },
    /** Closes the file after the last sync. */
    async close(): Promise<void> {
      await next?.catch(() => {})
      await running.catch(() => {})
      if (file) await closeFile(await file)
      file = undefined
    },
  }
}
