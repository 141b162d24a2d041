import { z } from 'zod'

/** Name of a module or id of one version. */
export const ModuleReference = z
  .string()
  .max(66)
  .refine(
    (text) => /^([a-z0-9][a-z0-9-]{0,62}|0x[0-9a-fA-F]{64})$/.test(text),
    'expected the name of a module (a-z, 0-9, -) or the id of a version (0x and 64 digits)',
  )
  .describe('module name or version id')

/** Id of a job, as text. */
export const JobId = z.string().regex(/^0x[0-9a-fA-F]{64}$/)

/** Id of a quote or job. */
export const Handle = z
  .string()
  .refine(
    (text) => /^0x[0-9a-fA-F]{64}$/.test(text),
    'expected an id as it was given to you: 0x and 64 hexadecimal digits',
  )
  .transform((text) => text.toLowerCase() as `0x${string}`)
