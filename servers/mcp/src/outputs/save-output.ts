import { mkdir, realpath, rename, writeFile } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { type Bytes32, isSafePath, LilypadError } from '@lilypad-agents/protocol'

/** An output's path would leave the output folder. */
class OutputPathError extends LilypadError {
  override readonly name = 'OutputPathError'
  constructor() {
    super('PATH_NOT_ALLOWED', 'The output cannot be saved under its name.', {
      hint: 'read it inline, or ask the user to look into the output folder',
    })
  }
}

/** Saves an output as `<folder>/<job>/<path>` and answers where. Links inside the folder are not followed out of it. */
export async function saveOutput(folder: string, orderHash: Bytes32, path: string, bytes: Uint8Array): Promise<string> {
  if (!isSafePath(path)) throw new OutputPathError()
  await mkdir(folder, { recursive: true })
  const root = join(await realpath(folder), orderHash.slice(0, 18))
  await mkdir(root, { recursive: true })
  if ((await realpath(root)) !== root) throw new OutputPathError()
  const target = join(root, ...path.split('/'))
  const parent = dirname(target)
  await mkdir(parent, { recursive: true })
  const real = await realpath(parent)
  if (real !== root && !real.startsWith(root + sep)) throw new OutputPathError()
  const temporary = `${target}.${crypto.randomUUID()}`
  await writeFile(temporary, bytes, { flag: 'wx' })
  await rename(temporary, target)
  return target
}
