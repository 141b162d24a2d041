import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProcess, isAlive, type ProcessIdentity } from '../process-identity.ts'

type ProcessRecord = { readonly child: ProcessIdentity; readonly parent: ProcessIdentity }

/** Notes a child on disk, so that a later provider can end it when this one was killed. Resolves to the way to forget it. */
export async function recordProcess(folder: string, pid: number): Promise<() => Promise<void>> {
  const [child, parent] = await Promise.all([findProcess(pid), findProcess(process.pid)])
  if (child === undefined || parent === undefined) return async () => {}
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${pid}-${child.startTime}.json`)
  await writeFile(path, JSON.stringify({ child, parent } satisfies ProcessRecord), { mode: 0o600 })
  return () => rm(path, { force: true })
}

/** Ends recorded children whose provider is gone. Children of a living provider are left alone, and counted. */
export async function sweepProcesses(
  folder: string,
  kill: (pid: number) => void = (pid) => process.kill(pid, 'SIGKILL'),
): Promise<{ readonly living: number }> {
  let living = 0
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name)
    const record = parseRecord(await readFile(path, 'utf8').catch(() => ''))
    if (record !== undefined && (await isAlive(record.parent))) {
      living += 1
      continue
    }
    if (record !== undefined && (await isAlive(record.child))) kill(record.child.pid)
    await rm(path, { force: true })
  }
  return { living }
}

function parseRecord(text: string): ProcessRecord | undefined {
  try {
    const value = JSON.parse(text) as ProcessRecord
    const isIdentity = (identity: ProcessIdentity) =>
      Number.isSafeInteger(identity.pid) && identity.pid > 1 && typeof identity.startTime === 'string'
    return isIdentity(value.child) && isIdentity(value.parent) ? value : undefined
  } catch {
    return undefined
  }
}
