import { isSafePath, LilypadError } from '@lilypad-agents/protocol'
import { type Output, StillRunningError } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { OutputUnknownError } from '../outputs/output-unknown-error.ts'
import { saveOutput } from '../outputs/save-output.ts'
import { count } from '../text/count.ts'
import { cleanLine, shownPath } from '../text/clean-text.ts'
import { defineTool } from '../tool/define-tool.ts'
import { Handle } from './module-reference.ts'

const shownFiles = 20

/** The server was started without a folder for outputs. */
class NoOutputFolderError extends LilypadError {
  override readonly name = 'NoOutputFolderError'
  constructor() {
    super('PATH_NOT_ALLOWED', 'This server has no output folder, so nothing can be saved.', {
      hint: 'ask the user to start it with --output-dir; lilypad_get_outputs shows files inline',
    })
  }
}

/** Saves files of a job on this machine. */
export const saveOutputs = defineTool({
  name: 'lilypad_save_outputs',
  title: 'Save outputs',
  description:
    "Save the files of a delivered job into the output folder of this server, under the job's id or under subdir. Same name, same job: replaced. Free.",
  input: z.strictObject({
    job_id: Handle,
    paths: z.array(z.string().min(1).max(512)).min(1).max(100).optional().describe('leave out for all'),
    subdir: z
      .string()
      .refine((text) => text.length <= 200 && isSafePath(text), 'expected a relative path without `..`')
      .optional(),
  }),
  output: z.object({
    summary: z.string(),
    job_id: z.string(),
    verified: z.boolean().nullable(),
    folder: z.string(),
    written: z.array(z.object({ file: z.string(), bytes: z.int(), sha256: z.string() })),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  needsKey: true,
  example: { job_id: `0x${'a1'.repeat(32)}`, paths: ['result.png'], subdir: 'pictures' },
  async handle({ job_id, paths, subdir }, { config, lilypad }) {
    const { outputDirectory } = config
    if (outputDirectory === undefined) throw new NoOutputFolderError()
    const job = await lilypad.getStoredJob(job_id)
    if (!job.delivery) throw new StillRunningError(job_id, job.state)
    const outputs = await lilypad.fetchOutputs(job_id)
    const isNamed = (output: Output, path: string) => output.path === path || shownPath(output.path) === path
    const unknown = paths?.find((path) => !outputs.some((output) => isNamed(output, path)))
    if (unknown !== undefined) throw new OutputUnknownError(unknown)
    const chosen = paths ? outputs.filter((output) => paths.some((path) => isNamed(output, path))) : outputs
    const written: { file: string; bytes: number; sha256: string }[] = []
    for (const output of chosen) {
      const bytes = await output.read()
      const file = await saveOutput(outputDirectory, subdir ?? job_id.slice(0, 18), output.path, bytes)
      written.push({ file: cleanLine(file, 1000), bytes: output.bytes, sha256: output.sha256 })
    }
    const rest = written.length > shownFiles ? ` The first ${shownFiles} are listed.` : ''
    const standing = job.verified ? '' : ' They are NOT verified: do not rely on them.'
    return {
      result: {
        summary: `${count(written.length, 'file')} saved.${standing}${rest}`,
        job_id,
        verified: job.verified,
        folder: outputDirectory,
        written: written.slice(0, shownFiles),
      },
    }
  },
})
