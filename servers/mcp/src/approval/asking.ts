import { CLIENT_CAPABILITIES_META_KEY, type Server, type ServerContext } from '@modelcontextprotocol/server'
import { z } from 'zod'

/** What can be asked of the client of a call, and what it answered. */
export type Asking = {
  readonly canAskForm: boolean
  readonly canOpenUrl: boolean
  readonly answers?: Readonly<Record<string, unknown>> | undefined
  /** What was sealed with the question. Anybody may have written it. */
  readonly state?: string | undefined
}

/** Nobody can be asked. */
export const noAsking: Asking = { canAskForm: false, canOpenUrl: false }

const Capabilities = z.looseObject({ elicitation: z.looseObject({}).optional() })

/** Reads what a client declared, in the request itself or when it opened, and what it answers. */
export function askingOf({ mcpReq }: ServerContext, server: Server, era: 'legacy' | 'modern'): Asking {
  const envelope: Readonly<Record<string, unknown>> = mcpReq.envelope ?? {}
  const declared = era === 'modern' ? envelope[CLIENT_CAPABILITIES_META_KEY] : server.getClientCapabilities()
  const { elicitation } = Capabilities.safeParse(declared).data ?? {}
  const { inputResponses } = mcpReq
  const state = mcpReq.requestState()
  return {
    // Before there were two kinds, an empty declaration meant forms.
    canAskForm: elicitation !== undefined && ('form' in elicitation || !('url' in elicitation)),
    canOpenUrl: elicitation !== undefined && 'url' in elicitation,
    ...(inputResponses ? { answers: inputResponses } : {}),
    ...(typeof state === 'string' ? { state } : {}),
  }
}
