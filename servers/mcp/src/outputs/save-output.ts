import { mkdir, realpath, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isSafePath, LilypadError } from '@lilypad-agents/protocol'

/** What common file systems take for one name. */
const maxNameBytes = 255

/** An output's path would leave the output folder. */
class OutputPathError extends LilypadError {
  override readonly name = 'OutputPathError'
  constructor() {
    super('PATH_NOT_ALLOWED', 'The output cannot be saved under its name.', {
      hint: 'read it with lilypad_get_outputs and save the others by their paths, or ask the user to look into the output folder',
    })
  }
}

/** Saves an output as `<folder>/<place>/<path>` and answers where. Links inside the folder are not followed out of their place. */
export async function saveOutput(folder: string, place: string, path: string, bytes: Uint8Array): Promise<string> {
  const isTooLong = path.split('/').some((name) => Buffer.byteLength(name) > maxNameBytes)
  if (!isSafePath(path) || !isSafePath(place) || isTooLong) throw new OutputPathError()
  await mkdir(folder, { recursive: true })
  const root = await makeFolder(await realpath(folder), place.split('/'))
  const parts = path.split('/')
  const parent = await makeFolder(root, parts.slice(0, -1))
  const target = join(parent, parts.at(-1) ?? '')
  const temporary = join(parent, `.${crypto.randomUUID()}`)
  await writeFile(temporary, bytes, { flag: 'wx' })
  await rename(temporary, target)
  return target
}

/** Makes the folders one by one, so that a link in their place is noticed before anything is made behind it. */
async function makeFolder(root: string, names: readonly string[]): Promise<string> {
  let folder = root
  for (const name of names) {
    folder = join(folder, name)
    await mkdir(folder, { recursive: false }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    if ((await realpath(folder)) !== folder) throw new OutputPathError()
  }
  return folder
}
