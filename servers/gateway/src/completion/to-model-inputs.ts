import type { JsonObject } from '../conversation/conversation.ts'
import type { Model } from '../models/model-catalog.ts'
import type { JobRequest } from './place-job.ts'

/** The body of a request as the input that the module names for it: text, or a file. */
export function toModelInputs({ listing, server }: Model, body: JsonObject): JobRequest {
  const text = JSON.stringify(body)
  const module = listing.moduleVersion
  const property = listing.manifest.inputs.properties[server.input]
  if (property?.type === 'string') return { module, inputs: { [server.input]: text } }
  const file = { bytes: new TextEncoder().encode(text), mediaType: 'application/json', name: 'request.json' }
  return { module, inputs: {}, files: { [server.input]: file } }
}
