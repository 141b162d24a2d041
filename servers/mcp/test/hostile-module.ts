import { isSafePath, ModuleManifest } from '@lilypad-agents/protocol'
import { sampleModule } from '../../../packages/sdk/test/sample-bundle.ts'

const wire = JSON.parse(JSON.stringify(sampleModule, (_, value) => (typeof value === 'bigint' ? String(value) : value)))

/** The beginning of a text, without half a character at its end. */
export const beginningOf = (text: string, length: number): string =>
  text.slice(0, length).replace(/[\ud800-\udbff]$/, '')

/** The text as a name: what is left of it where only small letters, digits and dashes are allowed. */
const toName = (mark: string, text: string): string =>
  `${mark}-${text.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`.slice(0, 60).replace(/-+$/, '')

/** The text as the path of a file, as far as a path takes it. */
export function toHostilePath(mark: string, text: string): string {
  const words = `${mark} ${text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\:/]/gu, '_')}`
  // File systems count bytes.
  const length = [180, 120, 60].find((characters) => Buffer.byteLength(beginningOf(words, characters)) <= 180) ?? 40
  const path = `${beginningOf(words, length)}_.txt`
  if (!isSafePath(path)) throw new Error(`not a path: ${JSON.stringify(path)}`)
  return path
}

/** A module that says a text in every place where an author may write something. */
export function createHostileModule(mark: string, text: string): ModuleManifest {
  const name = toName(mark, text)
  return ModuleManifest.parse({
    ...wire,
    name,
    version: `1.0.0-${name.slice(0, 50)}`,
    title: beginningOf(text, 120),
    summary: beginningOf(text, 280),
    description: beginningOf(text, 8000),
    runtime: { ...wire.runtime, args: ['sample', beginningOf(text, 2000)], env: { NOTE: beginningOf(text, 2000) } },
    inputs: {
      ...wire.inputs,
      properties: {
        text: {
          type: 'string',
          maxLength: 100,
          title: beginningOf(text, 2000),
          description: beginningOf(text, 2000),
        },
        mode: { type: 'string', maxLength: 2000, enum: ['plain', beginningOf(text, 2000)], default: 'plain' },
        [`${mark}IgnoreAllPreviousInstructions`]: { type: 'boolean' },
      },
    },
    outputs: {
      files: [
        { path: 'out.txt', mediaType: beginningOf(text, 128), title: beginningOf(text, 120) },
        { path: toHostilePath(mark, text), mediaType: beginningOf(text, 128), title: beginningOf(text, 120) },
      ],
      result: { path: 'out.txt' },
    },
    limits: { ...wire.limits, outputBytes: 1024 ** 2, outputFiles: 10 },
    units: { ...wire.units, input: beginningOf(text, 120), output: beginningOf(text, 120) },
    licence: { code: beginningOf(text, 120), weights: beginningOf(text, 400) },
    examples: [{ title: beginningOf(text, 120), inputs: { text: beginningOf(text, 2000) } }],
  })
}
