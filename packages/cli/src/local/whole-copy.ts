import { copyFileSync, existsSync, readFileSync, renameSync } from 'node:fs'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'

const everyMilliseconds = 1000

/**
 * Keeps a copy of a JSON file that another program writes in place: killed in the middle of it, that program leaves half
 * a file and cannot start from it. `restore` brings the last whole one back; it does nothing while the file is whole.
 */
export function keepWholeCopy(path: string): { restore(): void; stop(): void } {
  const copy = `${path}.whole`
  let copiedAt = 0
  let isCopying = false

  const keep = async () => {
    const { mtimeMs } = await stat(path)
    if (mtimeMs === copiedAt) return
    const bytes = await readFile(path)
    if (!isWhole(bytes) || (await stat(path)).mtimeMs !== mtimeMs) return
    await writeFile(`${copy}.new`, bytes, { mode: 0o600, flush: true })
    await rename(`${copy}.new`, copy)
    copiedAt = mtimeMs
  }
  const timer = setInterval(() => {
    if (isCopying) return
    isCopying = true
    // A file that is not there yet, or is just being written, is looked at again at the next turn.
    keep()
      .catch(() => {})
      .finally(() => {
        isCopying = false
      })
  }, everyMilliseconds)
  timer.unref()

  return {
    restore() {
      if (!existsSync(path) || !existsSync(copy) || isWhole(readFileSync(path))) return
      copyFileSync(copy, `${path}.new`)
      renameSync(`${path}.new`, path)
    },
    stop: () => clearInterval(timer),
  }
}

function isWhole(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false
  }
}
