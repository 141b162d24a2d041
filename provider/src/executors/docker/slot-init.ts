import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { slotInitPrograms } from './generated/slot-init.ts'

/**
 * Puts the first process of slots on disk, once per executor.
 * @returns its path, or undefined for an architecture that has none
 */
export async function installSlotInit(stateDirectory: string, architecture: string): Promise<string | undefined> {
  if (!Object.hasOwn(slotInitPrograms, architecture)) return undefined
  // Safe: it is one of the names, as seen on the line above.
  const { sha256, base64 } = slotInitPrograms[architecture as keyof typeof slotInitPrograms]
  const bytes = Buffer.from(base64, 'base64')
  const digestOf = (content: Buffer) => createHash('sha256').update(content).digest('hex')
  if (digestOf(bytes) !== sha256) throw new RangeError('the first process of slots is not the one that was built')
  const path = join(stateDirectory, `slot-init-${sha256.slice(0, 16)}`)
  const present = await readFile(path).catch(() => undefined)
  if (present !== undefined && digestOf(present) === sha256) return path
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 })
  const fresh = `${path}.${randomBytes(6).toString('hex')}`
  await writeFile(fresh, bytes, { mode: 0o600 })
  await chmod(fresh, 0o555)
  await rename(fresh, path)
  return path
}
