import { type Output, StillRunningError } from '@lilypad-agents/sdk'
import type { ResourceLink } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { findImageType, findText, isImageType, maxImageBytes, maxPreviewedBytes } from '../outputs/output-kind.ts'
import { previewImage } from '../outputs/preview-image.ts'
import { OutputUnknownError } from '../outputs/output-unknown-error.ts'
import { outputUri } from '../resources/resource-uri.ts'
import { count } from '../text/count.ts'
import { cleanText, shownPath } from '../text/clean-text.ts'
import { CursorError, readCursor, toCursor } from '../text/cursor.ts'
import { toMediaType } from '../text/media-type.ts'
import { defineTool, type ToolImage } from '../tool/define-tool.ts'
import { NextCalls, withNext } from '../tool/next-call.ts'
import { Handle } from './module-reference.ts'

const listedFiles = 12
const textCharacters = { all: 900, one: 3900 }
const shownTexts = 3

type ListedFile = { path: string; bytes: number; sha256: string; media_type: string; mislabelled?: boolean }

/** Shows the files of a job. */
export const getOutputs = defineTool({
  name: 'lilypad_get_outputs',
  title: 'Get outputs',
  description:
    'Read the files of a delivered job: short text inline under untrusted, one image (a larger one made smaller), anything else as size and digest. Give path for one file, and offset to read on in its text. Free.',
  input: z.strictObject({
    job_id: Handle,
    path: z.string().min(1).max(512).optional(),
    offset: z.int().min(0).default(0).describe('characters'),
    cursor: z.string().max(400).optional(),
  }),
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
        mislabelled: z.boolean().optional().describe('not what its module says it is; not shown'),
      }),
    ),
    next_cursor: z.string().nullable(),
    untrusted: z.object({
      texts: z.array(z.object({ path: z.string(), text: z.string(), next_offset: z.int().nullable() })),
    }),
    next: NextCalls,
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  example: { job_id: `0x${'a1'.repeat(32)}`, path: 'result.txt' },
  showsJob: true,
  async handle({ job_id, path, offset, cursor }, { config, lilypad }) {
    const job = await lilypad.getStoredJob(job_id)
    if (!job.delivery) throw new StillRunningError(job_id, job.state)
    const outputs = await lilypad.fetchOutputs(job_id)
    const chosen =
      path === undefined
        ? outputs.slice(cursor === undefined ? 0 : readPlace(cursor, outputs.length))
        : outputs.filter((output) => output.path === path || shownPath(output.path) === path)
    if (path !== undefined && chosen.length === 0) throw new OutputUnknownError(path)
    const length = path === undefined ? textCharacters.all : textCharacters.one
    const declared = new Map(job.module.outputs.files.map((file) => [file.path, file.mediaType]))
    const images: ToolImage[] = []
    const links: ResourceLink[] = []
    const texts: { path: string; text: string; next_offset: number | null }[] = []
    const files: ListedFile[] = []
    for (const output of chosen.slice(0, listedFiles)) {
      const shown = shownPath(output.path)
      const { image, text, isMislabelled } = await look(
        output,
        declared.get(output.path),
        images.length === 0 && config.images !== 'omit',
      )
      if (image && images.length === 0 && config.images !== 'omit') images.push(image)
      if (text !== undefined && texts.length < shownTexts) {
        const end = Math.min(text.length, offset + length)
        const part = cleanText(text.slice(offset, end), length)
        texts.push({ path: shown, text: part, next_offset: end < text.length ? end : null })
      }
      const mediaType = toMediaType(
        image?.mediaType ??
          (isMislabelled ? undefined : declared.get(output.path)) ??
          (text === undefined ? 'application/octet-stream' : 'text/plain'),
      )
      files.push({
        path: shown,
        bytes: output.bytes,
        sha256: output.sha256,
        media_type: mediaType,
        ...(isMislabelled ? { mislabelled: true } : {}),
      })
      links.push({
        type: 'resource_link',
        uri: outputUri(job_id, output.path),
        name: shown,
        mimeType: mediaType,
        size: output.bytes,
      })
    }
    const listed = outputs.length - chosen.length + files.length
    const rest =
      path === undefined && chosen.length > files.length ? ' There are more: pass next_cursor as cursor.' : ''
    const standing = job.verified
      ? 'verified'
      : job.verified === null
        ? 'not verified yet'
        : 'NOT verified: do not rely on them'
    const canSave = config.signer !== undefined && config.outputDirectory !== undefined
    return {
      result: {
        summary: `${count(path === undefined ? outputs.length : chosen.length, 'file')}, ${standing}.${rest}`,
        job_id,
        verified: job.verified,
        files,
        next_cursor: rest ? toCursor([listed]) : null,
        untrusted: { texts },
        ...withNext(canSave && { tool: 'lilypad_save_outputs', args: { job_id } }),
      },
      images,
      links,
    }
  },
})

/** @throws {@link CursorError} */
function readPlace(cursor: string, files: number): number {
  const [place] = readCursor(cursor)
  if (typeof place !== 'number' || !Number.isInteger(place) || place < 1 || place >= files) throw new CursorError()
  return place
}

/** Reads an output only as far as it can be shown. What calls itself an image and is another thing is not shown as either. */
async function look(output: Output, declared: string | undefined, withPreview: boolean) {
  if (output.bytes > maxImageBytes) {
    const isRead = withPreview && declared !== undefined && isImageType(declared) && output.bytes <= maxPreviewedBytes
    if (!isRead) return { image: undefined, text: undefined, isMislabelled: false }
    const bytes = await output.read()
    const isMislabelled = declared !== findImageType(bytes)
    return { image: isMislabelled ? undefined : await previewImage(bytes), text: undefined, isMislabelled }
  }
  const bytes = await output.read()
  const imageType = findImageType(bytes)
  const isMislabelled = declared !== undefined && isImageType(declared) && declared !== imageType
  const image: ToolImage | undefined = imageType && !isMislabelled ? { bytes, mediaType: imageType } : undefined
  return { image, text: image || isMislabelled ? undefined : findText(bytes), isMislabelled }
}
