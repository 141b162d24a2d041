import { getLlama, LlamaGrammarEvaluationState, LlamaLogLevel, resolveChatWrapper } from 'node-llama-cpp'

import { BadRequest } from './chat-request.mjs'
import { describeTools, formatToolCall, toolCallSchema } from './tool-calls.mjs'

const replacement = '\ufffd'

/**
 * Loads a model. Threads beyond those the container has make it a hundred times slower, so they are named and not guessed.
 * With one thread, one request at a time and temperature 0, the same request gives the same tokens on one kind of processor.
 */
export async function openChatModel({ path, threads, contextSize, concurrency }) {
  const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: LlamaLogLevel.warn })
  const model = await llama.loadModel({ modelPath: path })
  const context = await model.createContext({
    threads,
    contextSize: Math.min(contextSize, model.trainContextSize),
    sequences: concurrency,
  })
  const wrapper = resolveChatWrapper(model)

  /** The prompt of a chat, and the texts at which its reply ends. */
  function toPrompt({ messages, tools, toolChoice }) {
    const isTold = tools.length > 0 && toolChoice !== 'none'
    const told = isTold ? [{ type: 'system', text: describeTools(tools) }] : []
    const chatHistory = [...told, ...messages.map(toHistoryItem), { type: 'model', response: [] }]
    const { contextText, stopGenerationTriggers } = wrapper.generateContextState({
      chatHistory: joinSystem(chatHistory),
    })
    return {
      tokens: contextText.tokenize(model.tokenizer),
      stops: stopGenerationTriggers.map(String).filter((text) => text !== ''),
    }
  }

  async function toGrammar({ schema, tools, toolChoice }) {
    const called = Array.isArray(toolChoice) ? tools.filter(({ name }) => toolChoice.includes(name)) : []
    const wanted = called.length > 0 ? toolCallSchema(called) : schema
    if (wanted === undefined) return undefined
    try {
      return wanted === 'any' ? await llama.getGrammarFor('json') : await llama.createGrammarForJsonSchema(wanted)
    } catch {
      throw new BadRequest('the schema uses what this model cannot be held to')
    }
  }

  /** Log-probabilities of a prompt: of each token after the first, and of the likeliest in its place. */
  async function rateTokens(sequence, tokens, count) {
    const rated = await sequence.controlledEvaluate(
      tokens.map((token, index) => [
        token,
        index + 1 < tokens.length
          ? {
              generateNext: {
                logits: { filter: { tokens: [tokens[index + 1]], includeMax: true, includeTop: count } },
                totalLogitWeight: true,
              },
            }
          : {},
      ]),
    )
    return [
      null,
      ...rated.slice(0, tokens.length - 1).map(({ next: { logits, totalLogitWeight } }, index) => {
        const sorted = [...logits].sort(([, a], [, b]) => b - a)
        const most = sorted[0][1]
        const own = tokens[index + 1]
        const kept = sorted.filter(([token], rank) => rank < count || token === own)
        return Object.fromEntries(
          kept.map(([token, logit]) => [
            token,
            { logprob: logit - most - Math.log(totalLogitWeight), decoded_token: model.detokenize([token], true) },
          ]),
        )
      }),
    ]
  }

  return {
    name: model.fileInfo.metadata?.general?.name ?? 'model',
    contextSize: context.contextSize,
    toPrompt,

    /** Frees the sequence afterwards with everything in it, so that no request meets the state of another. */
    async withSequence(work) {
      const sequence = context.getSequence()
      try {
        return await work(sequence)
      } finally {
        await sequence.clearHistory()
        sequence.dispose()
      }
    },
    rateTokens,

    /**
     * Makes one reply, piece by piece: `{ text, logprobs, tokens }`, with how many were made so far. The last one has `finishReason`.
     */
    async *generate(sequence, prompt, request, { maxTokens, seed, signal }) {
      const grammar = await toGrammar(request)
      const state = grammar && new LlamaGrammarEvaluationState({ model, grammar })
      const stops = [...prompt.stops, ...request.stop]
      const hasLogprobs = request.topLogprobs !== undefined
      const generated = sequence.evaluateWithMetadata(
        prompt.tokens,
        { confidence: hasLogprobs, probabilities: hasLogprobs && request.topLogprobs > 0 },
        {
          temperature: request.temperature,
          topP: request.topP,
          seed,
          repeatPenalty: false,
          ...(state === undefined ? {} : { grammarEvaluationState: state }),
        },
      )
      const made = []
      let pending = []
      let held = ''
      let whole = ''
      let logprobs = []
      let finishReason = 'length'
      for await (const { token, confidence, probabilities } of generated) {
        if (signal.aborted) return
        pending.push(token)
        if (hasLogprobs) logprobs.push(toLogprob(token, confidence, probabilities, request.topLogprobs))
        const text = model.detokenize(pending, false, made)
        const isLast = made.length + pending.length >= maxTokens
        // Half a character is not shown.
        if (!text.endsWith(replacement) || isLast) {
          held += text
          whole += text
          made.push(...pending)
          pending = []
          const at = findStop(held, stops)
          if (at !== undefined) {
            held = held.slice(0, at)
            finishReason = 'stop'
            break
          }
          // A grammar for JSON lets white space follow for ever.
          const isDone = state !== undefined && isJson(whole)
          const safe = isLast || isDone ? held.length : held.length - unsafeLength(held, stops)
          if (safe > 0) {
            yield { text: held.slice(0, safe), logprobs, tokens: made.length + pending.length }
            held = held.slice(safe)
            logprobs = []
          }
          if (isDone) {
            finishReason = 'stop'
            break
          }
        }
        if (isLast) break
      }
      const tokens = made.length + pending.length
      if (tokens < maxTokens) finishReason = 'stop'
      yield { text: held, logprobs, finishReason, tokens }
    },
  }

  function toLogprob(token, confidence, probabilities, count) {
    const describe = (id, probability) => {
      const text = model.detokenize([id], true)
      return { token: text, logprob: Math.log(Math.max(probability, 1e-45)), bytes: [...Buffer.from(text)] }
    }
    const top = [...(probabilities ?? [])].slice(0, count).map(([id, probability]) => describe(id, probability))
    return { ...describe(token, confidence), top_logprobs: top }
  }
}

function toHistoryItem({ role, text, toolCalls }) {
  if (role === 'system') return { type: 'system', text }
  if (role === 'user') return { type: 'user', text }
  if (role === 'tool') return { type: 'user', text: `<tool_response>${text}</tool_response>` }
  return { type: 'model', response: [[text, ...toolCalls.map(formatToolCall)].filter(Boolean).join('\n')] }
}

/** Templates take one system message, the first. */
function joinSystem(history) {
  const text = history.flatMap((item) => (item.type === 'system' ? [item.text] : [])).join('\n\n')
  const rest = history.filter(({ type }) => type !== 'system')
  return text === '' ? rest : [{ type: 'system', text }, ...rest]
}

function isJson(text) {
  if (!/[}\]]\s*$/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function findStop(text, stops) {
  const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0)
  return found.length === 0 ? undefined : Math.min(...found)
}

/** How much of the end of a text may be the beginning of a stop. */
function unsafeLength(text, stops) {
  const lengths = stops.map((stop) => {
    for (let length = Math.min(stop.length - 1, text.length); length > 0; length -= 1)
      if (text.endsWith(stop.slice(0, length))) return length
    return 0
  })
  return Math.max(0, ...lengths)
}
