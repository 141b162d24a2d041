// Embeddings of OpenAI's shape over a GGUF model, on the Unix socket that LILYPAD_SOCKET names.
import { createServer } from 'node:http'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'

const environment = process.env
const socketPath = environment.LILYPAD_SOCKET
const maxBodyBytes = 4 * 1024 ** 2
const maxTexts = 256
const integer = (name, fallback) => Number.parseInt(environment[name] ?? '', 10) || fallback

/** A request that is the requester's fault. */
class BadRequest extends Error {}
const check = (holds, message) => {
  if (!holds) throw new BadRequest(message)
}

if (socketPath === undefined) throw new Error('LILYPAD_SOCKET has to name the socket to listen on')
const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: LlamaLogLevel.warn })
const model = await llama.loadModel({ modelPath: environment.MODEL_PATH ?? '/app/model.gguf' })
const contextSize = Math.min(integer('CONTEXT_SIZE', 512), model.trainContextSize)
// Threads beyond those the container has make it a hundred times slower, so they are named and not guessed.
const context = await model.createEmbeddingContext({ threads: integer('THREADS', 1), contextSize })
const modelName = environment.MODEL_NAME ?? model.fileInfo.metadata?.general?.name ?? 'model'

async function readBody(request) {
  const pieces = []
  let length = 0
  for await (const piece of request) {
    length += piece.length
    check(length <= maxBodyBytes, 'the request is longer than 4 MiB')
    pieces.push(piece)
  }
  try {
    return JSON.parse(Buffer.concat(pieces))
  } catch {
    throw new BadRequest('the request is not JSON')
  }
}

/** The first `dimensions` numbers, made as long as one again. */
function shorten(vector, dimensions) {
  const kept = vector.slice(0, dimensions)
  const length = Math.hypot(...kept) || 1
  return kept.map((value) => value / length)
}

/** @see https://platform.openai.com/docs/api-reference/embeddings/create */
async function embed(body, signal) {
  const { input, encoding_format: format = 'float', dimensions } = body ?? {}
  const texts = [input ?? []].flat()
  check(texts.length > 0 && texts.length <= maxTexts, `input: expected 1 to ${maxTexts} texts`)
  check(
    texts.every((text) => typeof text === 'string' && text !== ''),
    'input: expected texts that are not empty',
  )
  check(format === 'float' || format === 'base64', 'encoding_format: expected float or base64')
  check(
    dimensions === undefined ||
      (Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= model.embeddingVectorSize),
    `dimensions: expected 1 to ${model.embeddingVectorSize}`,
  )
  const tokens = texts.map((text) => model.tokenize(text))
  const longest = Math.max(...tokens.map(({ length }) => length))
  // One token for the beginning and one for the end, which some models add.
  check(longest <= contextSize - 2, `input: a text has ${longest} tokens, the model reads ${contextSize - 2}`)
  const data = []
  for (const [index, text] of tokens.entries()) {
    if (signal.aborted) return undefined
    const { vector } = await context.getEmbeddingFor(text)
    const embedding = shorten([...vector], dimensions)
    data.push({
      object: 'embedding',
      index,
      embedding: format === 'float' ? embedding : Buffer.from(Float32Array.from(embedding).buffer).toString('base64'),
    })
  }
  const used = tokens.reduce((sum, { length }) => sum + length, 0)
  return { object: 'list', model: modelName, data, usage: { prompt_tokens: used, total_tokens: used } }
}

function sendJson(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

const server = createServer(async (request, response) => {
  const stop = new AbortController()
  response.on('close', () => stop.abort())
  try {
    if (request.method === 'GET' && request.url === '/health') return sendJson(response, 200, { status: 'ok' })
    if (request.method !== 'POST' || request.url !== '/v1/embeddings') throw new BadRequest('no such path')
    const reply = await embed(await readBody(request), stop.signal)
    if (reply !== undefined) sendJson(response, 200, reply)
  } catch (error) {
    const isTheirs = error instanceof BadRequest
    if (!isTheirs) console.error(error)
    const message = isTheirs ? error.message : 'the server failed'
    const type = isTheirs ? 'invalid_request_error' : 'server_error'
    sendJson(response, isTheirs ? 400 : 500, { error: { message, type, param: null, code: null } })
  }
})
server.listen(socketPath)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0))
