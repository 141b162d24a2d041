import type { Scope } from '../auth/scope.ts'

/** What a message needs a token for: changing something needs more than reading. */
export function requiredScope(body: unknown, hasEffect: (tool: string) => boolean): Scope {
  const messages = Array.isArray(body) ? body : [body]
  return messages.some((message) => changes(message, hasEffect)) ? 'lilypad:spend' : 'lilypad:read'
}

function changes(message: unknown, hasEffect: (tool: string) => boolean): boolean {
  if (typeof message !== 'object' || message === null || !('method' in message)) return false
  if (message.method === 'tasks/cancel' || message.method === 'tasks/update') return true
  if (message.method !== 'tools/call' || !('params' in message)) return false
  const { params } = message
  return (
    typeof params === 'object' &&
    params !== null &&
    'name' in params &&
    typeof params.name === 'string' &&
    hasEffect(params.name)
  )
}
