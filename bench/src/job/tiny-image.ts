import { execFile } from 'node:child_process'
import { access, chmod, copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { containerArguments } from './tiny-module.ts'

const busybox = '/bin/busybox'
const run = promisify(execFile)

/** An image of this machine, to be removed when done. */
export type TinyImage = { readonly digest: string; readonly reference: string; remove(): Promise<void> }

/** `docker run` of the tiny program; the image's own `/out` takes what it writes. */
export const dockerRunArguments = (digest: string): readonly string[] => [
  'run',
  '--rm',
  '--network',
  'none',
  digest,
  ...containerArguments,
]

/** Makes an image of nothing but busybox; nothing is pulled. Gives the reason when this machine cannot. */
export async function importTinyImage(folder: string): Promise<TinyImage | { readonly skipped: string }> {
  const isReachable = await run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 20_000 }).then(
    () => true,
    () => false,
  )
  if (!isReachable) return { skipped: 'no Docker daemon answers the docker command' }
  const hasBusybox = await access(busybox).then(
    () => true,
    () => false,
  )
  if (!hasBusybox) return { skipped: `there is no ${busybox} (package busybox-static)` }
  const root = join(folder, 'root')
  await mkdir(join(root, 'bin'), { recursive: true })
  await mkdir(join(root, 'out'))
  await chmod(join(root, 'out'), 0o777)
  await copyFile(busybox, join(root, busybox))
  const archive = join(folder, 'image.tar')
  await run('tar', ['-C', root, '-cf', archive, 'bin', 'out'])
  const reference = `lilypad-bench/busybox:${process.pid}`
  await run('docker', ['import', archive, reference])
  const { stdout } = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', reference])
  const digest = stdout.trim()
  const remove = async () => {
    await run('docker', ['image', 'rm', '--force', reference]).catch(() => {})
  }
  try {
    await run('docker', [...dockerRunArguments(digest)], { timeout: 60_000 })
  } catch {
    await remove()
    return { skipped: `${busybox} does not run by itself in a container: it must be the static one` }
  }
  return { digest, reference, remove }
}
