import { LilypadError } from '@lilypad-agents/protocol'
import { type Output, StillRunningError } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { findImageType, findText, maxImageBytes } from '../outputs/output-kind.ts'
import { saveOutput } from '../outputs/save-output.ts'
import { count } from '../text/count.ts'
import { cleanLine, cleanText } from '../text/clean-text.ts'
import { defineTool, type ToolImage } from '../tool/define-tool.ts'
import { Handle } from './module-reference.ts'

const listedFiles = 50
const textCharacters = { all: 3000, one: 12_000 }
const shownTexts = 3

/** The job has no output of this path. */
class OutputUnknownError extends LilypadError {
  override readonly name = 'OutputUnknownError'
  constructor(path: string) {
    super('OUTPUT_UNKNOWN', 'The job has no output of this path.', {
      details: [`Path: ${JSON.stringify(path.slice(0, 200))}`],
    })
  }
}

/** Shows and saves the files of a job. */
export const getOutputs = defineTool({
  name: 'lilypad_get_outputs',
  title: 'Get outputs',
  description:
    'Read the files of a delivered job: short text inline under untrusted, an image up to 256 kB as an image, anything else as size and digest, saved to disk when this server has an output folder. Give path for one file in more length. Free.',
  input: z.strictObject({ job_id: Handle, path: z.string().min(1).max(512).optional() }),
  output: z.object({
    summary: z.string(),
    job_id: z.string(),
    verified: z.boolean().nullable(),
    files: z.array(
      z.object({
        path: z.string(),
        bytes: z.int(),
        sha256: z.string(),
        media_type: z.string(),
        saved: z.string().optional(),
      }),
    ),
    untrusted: z.object({ texts: z.array(z.object({ path: z.string(), text: z.string(), cut: z.boolean() })) }),
  }),
  annotations: ({ outputDirectory }) => ({
    readOnlyHint: outputDirectory === undefined,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: true,
  }),
  async handle({ job_id, path }, { config, lilypad }) {
    const job = await lilypad.getStoredJob(job_id)
    if (!job.delivery) throw new StillRunningError(job_id, job.state)
    const outputs = await lilypad.fetchOutputs(job_id)
    const chosen =
      path === undefined
        ? outputs
        : outputs.filter((output) => output.path === path || cleanLine(output.path, 200) === path)
    if (path !== undefined && chosen.length === 0) throw new OutputUnknownError(path)
    const length = path === undefined ? textCharacters.all : textCharacters.one
    const declared = new Map(job.module.outputs.files.map((file) => [file.path, file.mediaType]))
    const images: ToolImage[] = []
    const texts: { path: string; text: string; cut: boolean }[] = []
    const files: { path: string; bytes: number; sha256: string; media_type: string; saved?: string }[] = []
    for (const output of chosen.slice(0, listedFiles)) {
      const shown = cleanLine(output.path, 200)
      const { image, text, bytes } = await look(output, { withBytes: config.outputDirectory !== undefined, length })
      if (image && images.length === 0) images.push(image)
      if (text !== undefined && texts.length < shownTexts)
        texts.push({
          path: shown,
          text: cleanText(text, length),
          cut: (!output.isSealed && output.bytes > text.length) || text.length > length,
        })
      const saved =
        config.outputDirectory && bytes
          ? await saveOutput(config.outputDirectory, job_id, output.path, bytes)
          : undefined
      const mediaType =
        image?.mediaType ??
        cleanLine(declared.get(output.path) ?? (text === undefined ? 'application/octet-stream' : 'text/plain'), 80)
      files.push({
        path: shown,
        bytes: output.bytes,
        sha256: output.sha256,
        media_type: mediaType,
        ...(saved ? { saved } : {}),
      })
    }
    const rest = chosen.length > files.length ? ` ${chosen.length - files.length} more are not listed.` : ''
    const standing = job.verified
      ? 'verified'
      : job.verified === null
        ? 'not verified yet'
        : 'NOT verified: do not rely on them'
    const hint = files.some((file) => file.saved) ? ' They are saved on this machine.' : ''
    return {
      result: {
        summary: `${count(chosen.length, 'file')}, ${standing}.${rest}${hint}`,
        job_id,
        verified: job.verified,
        files,
        untrusted: { texts },
      },
      images,
    }
  },
})

/** Reads an output only as far as it can be shown or is to be saved. */
async function look(output: Output, how: { readonly withBytes: boolean; readonly length: number }) {
  const isSmall = output.bytes <= maxImageBytes
  if (!isSmall && !how.withBytes) return { image: undefined, text: undefined, bytes: undefined }
  const bytes = await output.read()
  const imageType = isSmall ? findImageType(bytes) : undefined
  const image: ToolImage | undefined = imageType ? { bytes, mediaType: imageType } : undefined
  const text = image || !isSmall ? undefined : findText(bytes)
  return { image, text, bytes }
}
