import { chmod, lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Removes a tree that a stranger's program made with this user's rights, also where it took those rights away from folders. */
export async function removeTree(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true })
  } catch {
    await reopenFolders(folder)
    await rm(folder, { recursive: true, force: true })
  }
}

async function reopenFolders(folder: string): Promise<void> {
  if (!(await lstat(folder)).isDirectory()) return
  await chmod(folder, 0o700)
  for (const name of await readdir(folder, { encoding: 'buffer' })) {
    const path = Buffer.concat([Buffer.from(`${folder}/`), name])
    if ((await lstat(path)).isDirectory()) await reopenFolders(join(folder, name.toString('utf8'))).catch(() => {})
  }
}
