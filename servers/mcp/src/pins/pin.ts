import { z } from 'zod'

/** A module that its user wants as a tool of its own. */
export type Pin = {
  readonly module: string
  /** Id of a version, or its number. @default the newest when it is first read */
  readonly version?: string
}

/** More would not fit into the context that the list of tools may take. */
export const maxPins = 8

/** A pin as it is written: `name`, `name@1.2.0` or `name@0x…`. */
export const Pin = z.string().transform((text, context): Pin => {
  const [, module, version] =
    /^([a-z0-9][a-z0-9-]{0,62})(?:@(0x[0-9a-f]{64}|(?!0x)\d[0-9A-Za-z.+-]{0,31}))?$/.exec(text) ?? []
  if (module === undefined) {
    context.addIssue({ code: 'custom', message: 'expected the name of a module, as in tts, tts@1.2.0 or tts@0x…' })
    return z.NEVER
  }
  return version === undefined ? { module } : { module, version }
})

/** Name of the tool that a pinned module becomes. */
export const pinToolName = (module: string): string => `lilypad_${module.replaceAll('-', '_')}`
