import { createHash } from 'node:crypto'
import type { RequestHandler } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'
import multer from 'multer'

/** A form with one file: `request.file`, and its fields as `request.body`. It is held in memory, so everything of it is bounded. */
export function readUpload(options: { readonly maxBytes: number; readonly field: string }): readonly RequestHandler[] {
  const { maxBytes, field } = options
  const form = multer({
    storage: multer.memoryStorage(),
    limits: { fileSize: maxBytes, files: 1, fields: 16, parts: 17, fieldSize: 100_000, fieldNameSize: 100 },
  }).single(field)
  return [
    (request, _response, next) => {
      if (request.is('multipart/form-data')) return next()
      throw new LilypadError('INVALID_REQUEST', 'The body of the request is not a form.', {
        hint: `send multipart/form-data with the recording as \`${field}\``,
      })
    },
    (request, response, next) => {
      form(request, response, (thrown: unknown) => {
        if (thrown) return next(toRefusal(thrown, field))
        const { file, body } = request
        if (!file) return next(refuse(`it has no file \`${field}\``))
        const fields = JSON.stringify(Object.entries({ ...body }).sort(([a], [b]) => (a < b ? -1 : 1)))
        const path = request.originalUrl.split('?', 1)[0]
        response.locals.digest = createHash('sha256').update(`${path}\n${fields}\n`).update(file.buffer).digest('hex')
        next()
      })
    },
  ]
}

const refuse = (why: string) =>
  new LilypadError('INVALID_REQUEST', 'The form of the request cannot be read.', {
    details: [`Reason: ${why}`],
    hint: 'send one file, and each field once',
  })

function toRefusal(thrown: unknown, field: string): LilypadError {
  if (thrown instanceof multer.MulterError) {
    if (thrown.code === 'LIMIT_FILE_SIZE')
      return new LilypadError('PAYLOAD_TOO_LARGE', 'The file of the request is larger than allowed here.')
    return refuse(
      thrown.code === 'LIMIT_UNEXPECTED_FILE'
        ? `a file of another name than \`${field}\``
        : 'too many parts, or too long ones',
    )
  }
  return refuse('it ends too early, or is no form')
}
