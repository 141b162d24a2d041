import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { basename, extname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { LilypadError } from '@lilypad-agents/protocol'
import type { GivenFile } from '@lilypad-agents/sdk'
import { z } from 'zod'

/** Most bytes of a file inside an argument. */
export const maxInlineBytes = 256 * 1024
/** Most bytes of a file read from the input folder; modules set their own lower limits. */
const maxFileBytes = 256 * 1024 * 1024

const PathFile = z.strictObject({ path: z.string().min(1).max(4096), mediaType: z.string().max(128).optional() })
const InlineFile = z.strictObject({
  base64: z.string(),
  mediaType: z.string().max(128),
  name: z.string().min(1).max(255),
})

/** The inputs of a job as they are given: scalars, lists, and files by path or inline. */
export const GivenInputs = z.record(z.string(), z.unknown())
export type GivenInputs = z.output<typeof GivenInputs>

/** A file among the inputs is not one, or may not be read. */
class InputFileError extends LilypadError {
  override readonly name = 'InputFileError'
  constructor(
    code: 'INVALID_REQUEST' | 'PATH_NOT_ALLOWED' | 'PAYLOAD_TOO_LARGE',
    input: string,
    problem: string,
    hint: string,
  ) {
    super(code, 'An input file cannot be used.', { details: [`inputs.${input}: ${problem}`], hint })
  }
}

const mediaTypes: { readonly [extension: string]: string } = {
  '.bmp': 'image/bmp',
  '.csv': 'text/csv',
  '.flac': 'audio/flac',
  '.gif': 'image/gif',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.md': 'text/markdown',
  '.mp3': 'audio/mpeg',
  '.mp4': 'video/mp4',
  '.ogg': 'audio/ogg',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.tif': 'image/tiff',
  '.tiff': 'image/tiff',
  '.txt': 'text/plain',
  '.wav': 'audio/wav',
  '.webp': 'image/webp',
  '.zip': 'application/zip',
}

/**
 * Splits given inputs into plain values and files. A file is `{"path"}` inside the input folder, or `{"base64", "mediaType", "name"}`.
 * @throws {@link InputFileError}
 */
export async function resolveInputs(
  given: GivenInputs,
  inputDirectory: string | undefined,
): Promise<{
  readonly inputs: { readonly [name: string]: unknown }
  readonly files: { readonly [name: string]: GivenFile }
}> {
  const inputs: [string, unknown][] = []
  const files: [string, GivenFile][] = []
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      files.push([name, await readFile(name, value, inputDirectory)])
    else inputs.push([name, value])
  }
  return { inputs: Object.fromEntries(inputs), files: Object.fromEntries(files) }
}

async function readFile(input: string, value: object, inputDirectory: string | undefined): Promise<GivenFile> {
  const path = PathFile.safeParse(value)
  if (path.success) return readFromFolder(input, path.data, inputDirectory)
  const inline = InlineFile.safeParse(value)
  if (inline.success) return readInline(input, inline.data)
  throw new InputFileError(
    'INVALID_REQUEST',
    input,
    'expected {"path"} or {"base64","mediaType","name"}',
    'give the file in one of the two forms',
  )
}

function readInline(input: string, { base64, mediaType, name }: z.output<typeof InlineFile>): GivenFile {
  const isTooLarge = base64.length > Math.ceil(maxInlineBytes / 3) * 4
  if (isTooLarge)
    throw new InputFileError(
      'PAYLOAD_TOO_LARGE',
      input,
      `expected at most ${maxInlineBytes} bytes`,
      'put larger files into the input folder and give their path',
    )
  const bytes = Buffer.from(base64, 'base64')
  // Buffer skips what is not base64, so only a round trip tells.
  const isExact = bytes.toString('base64').replace(/=+$/, '') === base64.replace(/=+$/, '')
  if (!isExact)
    throw new InputFileError(
      'INVALID_REQUEST',
      input,
      '`base64` is not base64',
      'encode the bytes of the file as base64, without line breaks',
    )
  return { bytes, mediaType, name: basename(name) }
}

const isHidden = (name: string) => name.startsWith('.')

async function readFromFolder(
  input: string,
  { path, mediaType }: z.output<typeof PathFile>,
  inputDirectory: string | undefined,
): Promise<GivenFile> {
  if (!inputDirectory) {
    throw new InputFileError(
      'PATH_NOT_ALLOWED',
      input,
      'this server reads no files',
      `ask the user to start it with --input-dir, or give up to ${maxInlineBytes} bytes as {"base64","mediaType","name"}`,
    )
  }
  const hint = 'give a path inside the input folder of this server'
  const root = await realpath(inputDirectory).catch(() => {
    throw new InputFileError(
      'PATH_NOT_ALLOWED',
      input,
      'the input folder is not there',
      'ask the user to check --input-dir',
    )
  })
  const wanted = isAbsolute(path) ? resolve(path) : join(root, path)
  // One answer for what is missing and what is outside, so that the folder's surroundings cannot be probed.
  const refused = new InputFileError('PATH_NOT_ALLOWED', input, 'no such file in the input folder', hint)
  const real = await realpath(wanted).catch(() => undefined)
  if (!real?.startsWith(root.endsWith(sep) ? root : root + sep)) throw refused
  // Keys, tokens and state lie in hidden files and folders (.env, .ssh, .lilypad); a job sends its inputs to strangers.
  if (relative(root, real).split(sep).some(isHidden)) throw refused
  const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined)
  if (!file) throw refused
  try {
    const { size, isRegular } = await file.stat().then((stat) => ({ size: stat.size, isRegular: stat.isFile() }))
    if (!isRegular) throw refused
    if (size > maxFileBytes)
      throw new InputFileError(
        'PAYLOAD_TOO_LARGE',
        input,
        `expected at most ${maxFileBytes} bytes, got ${size}`,
        'use a smaller file',
      )
    const bytes = await file.readFile()
    return {
      bytes,
      mediaType: mediaType ?? mediaTypes[extname(real).toLowerCase()] ?? 'application/octet-stream',
      name: basename(real),
    }
  } finally {
    await file.close()
  }
}
