import { z } from 'zod'
import { InputName } from './input-schema.ts'

/**
 * What a model server speaks: chat completions of OpenAI's shape (also streamed), embeddings of that shape, or any one
 * JSON document in and one out.
 */
export const serverProtocols = ['openai-chat', 'openai-embeddings', 'http-json'] as const

const HttpPath = z
  .string()
  .max(200)
  .regex(/^\/[A-Za-z0-9._~/-]*$/, 'expected an absolute path of letters, digits, . _ ~ - and /')

/**
 * How a container is used as a server that stays between jobs. It listens with HTTP on the Unix socket that the
 * variable `LILYPAD_SOCKET` names, and has no network. One process answers the jobs of many requesters.
 */
export const ModuleServer = z.strictObject({
  protocol: z.enum(serverProtocols),
  /** Answers a POST with the request of a job as its body. */
  path: HttpPath,
  /** Answers a GET with 200 once jobs can come, and as long as the server is well. */
  readyPath: HttpPath,
  /** The input that is the request's body: text, or a file of the type `application/json`. */
  input: InputName,
  /** Requests that it answers at the same time; more wait in line. */
  concurrency: z.int().min(1).max(1024),
  /** Longest time until it is ready. */
  startSeconds: z.int().min(1).max(3600),
  /** How long it is kept without a request. */
  idleSeconds: z.int().min(0).max(604_800),
  /** Most input units of one job: the length of the model's context. */
  maxInputUnits: z.int().min(0).max(100_000_000),
  /** Most output units of one job, over all choices. */
  maxOutputUnits: z.int().min(0).max(100_000_000),
})
export type ModuleServer = z.output<typeof ModuleServer>

/** The one output of a job of a model server: the whole reply; a streamed one in the form it would have had in one piece. */
export const responsePath = 'response.json'
