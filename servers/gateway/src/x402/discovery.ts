import type { JsonObject } from '../conversation/conversation.ts'

const messages = [{ role: 'user', content: 'Hi' }]
const chat = { model: 'chat', messages, max_tokens: 64 }
const examples: { readonly [path: string]: JsonObject } = {
  '/v1/chat/completions': chat,
  '/v1/messages': chat,
  '/v1/responses': { model: 'chat', input: 'Hi', max_output_tokens: 64 },
  '/v1/embeddings': { model: 'vectors', input: 'Hi' },
  '/v1/jobs': { module: 'echo', inputs: { text: 'Hi' } },
}

/**
 * A paid route as catalogues of x402 list it.
 * @see https://github.com/coinbase/x402/blob/main/specs/extensions/bazaar.md
 */
export function discoveryOf(path: string): JsonObject {
  const body = examples[path] ?? {}
  return {
    info: { input: { type: 'http', method: 'POST', bodyType: 'json', body } },
    schema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: {
        input: {
          type: 'object',
          properties: {
            type: { type: 'string', const: 'http' },
            method: { type: 'string', enum: ['POST'] },
            bodyType: { type: 'string', enum: ['json'] },
            body: { type: 'object', required: Object.keys(body).filter((name) => !name.startsWith('max_')) },
          },
          required: ['type', 'method', 'bodyType', 'body'],
          additionalProperties: false,
        },
      },
      required: ['input'],
    },
  }
}
