import { type Request, type RequestHandler, type Response, Router } from 'express'
import { type MediaAnswer, type MediaReply, readAgain, runMedia } from '../completion/run-media.ts'
import type { JobRequest } from '../completion/place-job.ts'
import type { GatewayContext } from '../context.ts'
import { settlementBody } from '../dialects/dialect.ts'
import {
  imageBody,
  parseImageRequest,
  parseSpeechRequest,
  parseTranscriptionRequest,
  readTranscript,
  toImageJob,
  toSpeechJob,
  toTranscriptionJob,
} from '../dialects/media.ts'
import { callerOf } from '../http/authenticate.ts'
import { goneSignal } from '../http/gone-signal.ts'
import { openPaid, tellSettlement } from '../http/open-paid.ts'
import { readPolicy } from '../http/policy.ts'
import { readBody } from '../http/read-body.ts'
import { readUpload } from '../http/read-upload.ts'
import type { MediaModel } from '../models/media-model.ts'

/** Longest recording that is taken, whatever the limit of other bodies. */
const maxUploadBytes = 32 * 1024 ** 2

/** `POST /v1/images/generations`, `/v1/audio/speech` and `/v1/audio/transcriptions`, over whatever modules do that. */
export function mediaRoutes(context: GatewayContext, authentication: RequestHandler): Router {
  const router = Router()
  const { models, rules } = context
  // Strangers do not pay for these, so nothing of their bodies is read.
  const keyed: readonly RequestHandler[] = [authentication, (_request, response, next) => next(void callerOf(response))]
  const body = readBody({ maxBytes: rules.maxBodyBytes })
  const upload = readUpload({ maxBytes: Math.max(maxUploadBytes, rules.maxBodyBytes), field: 'file' })

  router.post('/v1/images/generations', ...keyed, ...body, async (request, response) => {
    const asked = parseImageRequest(request.body)
    const model = await models.getMedia(asked.model, 'images')
    const job = toImageJob(model, asked)
    const { reply, createdAt } = await answer(context, { request, response, model, job })
    const { bytes, inputUnits, settlement } = reply
    response.json(imageBody(model, { bytes, createdAt, inputUnits, lilypad: settlementBody(settlement) }))
  })

  router.post('/v1/audio/speech', ...keyed, ...body, async (request, response) => {
    const asked = parseSpeechRequest(request.body)
    const model = await models.getMedia(asked.model, 'speech')
    const job = toSpeechJob(model, asked)
    const { reply } = await answer(context, { request, response, model, job })
    // A stranger's bytes: played or saved, never run as a page of this address.
    response.setHeader('content-security-policy', "default-src 'none'; sandbox")
    response.type(model.output.mediaType).end(reply.bytes)
  })

  router.post('/v1/audio/transcriptions', ...keyed, ...upload, async (request, response) => {
    const asked = parseTranscriptionRequest(request.body)
    const model = await models.getMedia(asked.model, 'transcriptions')
    const { buffer, mimetype, originalname } = request.file as Express.Multer.File
    const job = toTranscriptionJob(model, asked, { bytes: buffer, mediaType: mimetype, name: originalname })
    const { reply } = await answer(context, { request, response, model, job, check: readTranscript })
    const text = readTranscript(reply.bytes)
    if (asked.response_format === 'text') response.type('text/plain').send(`${text}\n`)
    else response.json({ text, lilypad: settlementBody(reply.settlement) })
  })
  return router
}

/** Runs a job for a request, or gives the answer to the one that it repeats. */
async function answer(
  context: GatewayContext,
  what: {
    readonly request: Request
    readonly response: Response
    readonly model: MediaModel
    readonly job: JobRequest
    readonly check?: (bytes: Uint8Array) => unknown
  },
): Promise<{ readonly reply: MediaReply; readonly createdAt: number }> {
  const { request, response, model, job, check } = what
  const signal = goneSignal(response)
  const policy = readPolicy(request, context.rules)
  const opened = await openPaid(context, request, response, { kind: model.use, model: model.id })
  if (!opened.isNew) {
    // Written by this gateway when the request was charged.
    const reply = await readAgain(context, model, opened.answer as MediaAnswer)
    tellSettlement(response, reply.settlement)
    return { reply, createdAt: opened.earlier.createdAt }
  }
  const { requestId, createdAt } = opened
  const account = callerOf(response).accountId
  const onPlaced = (jobId: string) => {
    response.setHeader('x-lilypad-job', jobId)
  }
  const call = { requestId, model, request: job, policy, account, signal, onPlaced, ...(check ? { check } : {}) }
  const reply = await runMedia(context, call)
  tellSettlement(response, reply.settlement)
  return { reply, createdAt }
}
