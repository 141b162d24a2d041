// Chat completions of OpenAI's shape over a GGUF model, on the Unix socket that LILYPAD_SOCKET names.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'

import { openChatModel } from './chat-model.mjs'
import { BadRequest, parseChatRequest } from './chat-request.mjs'
import { parseToolCalls } from './tool-calls.mjs'

const environment = process.env
const socketPath = environment.LILYPAD_SOCKET
const maxBodyBytes = 4 * 1024 ** 2
const integer = (name, fallback) => Number.parseInt(environment[name] ?? '', 10) || fallback

if (socketPath === undefined) throw new Error('LILYPAD_SOCKET has to name the socket to listen on')
const model = await openChatModel({
  path: environment.MODEL_PATH ?? '/app/model.gguf',
  threads: integer('THREADS', 1),
  contextSize: integer('CONTEXT_SIZE', 2048),
  concurrency: integer('CONCURRENCY', 1),
})
const modelName = environment.MODEL_NAME ?? model.name
const fingerprint = `lp_${createHash('sha256').update(modelName).digest('hex').slice(0, 12)}`

async function readBody(request) {
  const pieces = []
  let length = 0
  for await (const piece of request) {
    length += piece.length
    if (length > maxBodyBytes) throw new BadRequest('the request is longer than 4 MiB')
    pieces.push(piece)
  }
  const bytes = Buffer.concat(pieces)
  try {
    return { body: JSON.parse(bytes), digest: createHash('sha256').update(bytes).digest() }
  } catch {
    throw new BadRequest('the request is not JSON')
  }
}

/**
 * Everything in a reply follows from the request, so that a second run can be compared with the first: its id, the date,
 * and the seed where none was given. Who wants another reply asks with another seed.
 */
async function complete({ body, digest }, response, signal) {
  const request = parseChatRequest(body)
  const prompt = model.toPrompt(request)
  const room = model.contextSize - prompt.tokens.length - 1
  if (room < 1)
    throw new BadRequest(
      `the prompt has ${prompt.tokens.length} tokens, the model reads ${model.contextSize}`,
      'context_length_exceeded',
    )
  const head = {
    id: `chatcmpl-${digest.toString('hex', 0, 16)}`,
    created: integer('SOURCE_DATE_EPOCH', 0) || Math.floor(Date.now() / 1000),
    model: modelName,
    system_fingerprint: fingerprint,
  }
  const maxTokens = Math.min(request.maxTokens ?? room, room)
  // Calls can be told from text only once they are whole.
  const isStreamedByPiece = request.isStreamed && request.toolChoice === 'none'
  let soFar = 0
  const usageOf = (tokens) => ({
    prompt_tokens: prompt.tokens.length,
    completion_tokens: tokens,
    total_tokens: prompt.tokens.length + tokens,
  })
  const send = async (fields) => {
    const usage = request.countsOn ? { usage: usageOf(soFar) } : {}
    const text = JSON.stringify({ ...head, object: 'chat.completion.chunk', ...usage, ...fields })
    if (!response.write(`data: ${text}\n\n`)) await Promise.race([once(response, 'drain'), once(response, 'close')])
  }
  if (request.isStreamed) response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const promptLogprobs =
    request.promptLogprobs === undefined
      ? undefined
      : await model.withSequence((sequence) => model.rateTokens(sequence, prompt.tokens, request.promptLogprobs))
  const choices = []
  let completionTokens = 0
  for (let index = 0; index < request.n && !signal.aborted; index += 1) {
    if (request.isStreamed)
      await send({ choices: [{ index, delta: { role: 'assistant', content: '' }, finish_reason: null }] })
    const seed = ((request.seed ?? digest.readUInt32BE(16)) + index) % 2 ** 32
    let text = ''
    const logprobs = []
    let finishReason = 'stop'
    await model.withSequence(async (sequence) => {
      for await (const piece of model.generate(sequence, prompt, request, { maxTokens, seed, signal })) {
        text += piece.text
        logprobs.push(...piece.logprobs)
        soFar = completionTokens + piece.tokens
        if (piece.finishReason !== undefined) {
          finishReason = piece.finishReason
          completionTokens += piece.tokens
        }
        if (isStreamedByPiece && (piece.text !== '' || piece.logprobs.length > 0))
          await send({
            choices: [
              {
                index,
                delta: { content: piece.text },
                logprobs: toLogprobs(request, piece.logprobs),
                finish_reason: null,
              },
            ],
          })
      }
    })
    const calls =
      request.toolChoice === 'none'
        ? undefined
        : parseToolCalls(text, request.tools, `call_${digest.toString('hex', 0, 8)}_${index}`)
    const message = calls
      ? { role: 'assistant', content: null, tool_calls: calls }
      : { role: 'assistant', content: text }
    if (calls) finishReason = 'tool_calls'
    if (request.isStreamed) {
      const { role: _, ...whole } = message
      const delta = calls ? { tool_calls: calls.map((call, at) => ({ index: at, ...call })) } : whole
      if (!isStreamedByPiece)
        await send({ choices: [{ index, delta, logprobs: toLogprobs(request, logprobs), finish_reason: null }] })
      await send({ choices: [{ index, delta: {}, finish_reason: finishReason }] })
    }
    choices.push({ index, message, logprobs: toLogprobs(request, logprobs), finish_reason: finishReason })
  }
  if (signal.aborted) return
  const usage = usageOf(completionTokens)
  const extra = promptLogprobs === undefined ? {} : { prompt_logprobs: promptLogprobs }
  if (request.isStreamed) {
    if (request.includesUsage || promptLogprobs) await send({ choices: [], usage, ...extra })
    response.end('data: [DONE]\n\n')
    return
  }
  sendJson(response, 200, { ...head, object: 'chat.completion', choices, usage, ...extra })
}

const toLogprobs = (request, content) => (request.topLogprobs === undefined ? null : { content, refusal: null })

function sendJson(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

function sendError(response, error) {
  const isTheirs = error instanceof BadRequest
  if (!isTheirs) console.error(error)
  const message = isTheirs ? error.message : 'the server failed'
  const body = {
    error: {
      message,
      type: isTheirs ? 'invalid_request_error' : 'server_error',
      param: null,
      code: error.code ?? null,
    },
  }
  if (!response.headersSent) return sendJson(response, isTheirs ? 400 : 500, body)
  response.end(`data: ${JSON.stringify({ ...body, choices: [] })}\n\n`)
}

const server = createServer(async (request, response) => {
  const stop = new AbortController()
  response.on('close', () => stop.abort())
  try {
    if (request.method === 'GET' && request.url === '/health') sendJson(response, 200, { status: 'ok' })
    else if (request.method === 'GET' && request.url === '/v1/models')
      sendJson(response, 200, {
        object: 'list',
        data: [{ id: modelName, object: 'model', created: 0, owned_by: 'lilypad' }],
      })
    else if (request.method === 'POST' && request.url === '/v1/chat/completions')
      await complete(await readBody(request), response, stop.signal)
    else
      sendJson(response, 404, {
        error: { message: 'no such path', type: 'invalid_request_error', param: null, code: 404 },
      })
  } catch (error) {
    sendError(response, error)
  }
})
server.listen(socketPath)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0))
