import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Response, Router } from 'express'

// The parts of Swagger UI that are served. Nothing is loaded from elsewhere.
const require = createRequire(import.meta.url)
const folder = dirname(require.resolve('swagger-ui-dist/package.json'))
const files = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
} as const

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lilypad gateway: reference</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/reference/swagger-ui.css">
</head>
<body>
<main id="reference"><noscript>This page needs JavaScript; <a href="/openapi.json">the document</a> does not.</noscript></main>
<script src="/reference/swagger-ui-bundle.js"></script>
<script src="/reference/start.js"></script>
</body>
</html>
`

const start = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
})
`

/** `GET /reference`: the OpenAPI document as a page, from which requests can be sent. */
export function referenceRoutes(): Router {
  const router = Router()
  const send = (response: Response, type: string, text: string) => {
    response.setHeader('content-security-policy', policy)
    response.type(type).send(text)
  }
  router.get('/reference', (_request, response) => send(response, 'text/html; charset=utf-8', page))
  router.get('/reference/start.js', (_request, response) => send(response, 'text/javascript; charset=utf-8', start))
  for (const [name, type] of Object.entries(files))
    router.get(`/reference/${name}`, async (_request, response) => {
      const path = join(folder, name)
      response.setHeader('cache-control', 'public, max-age=86400')
      response.setHeader('content-length', (await stat(path)).size)
      response.type(type)
      await pipeline(createReadStream(path), response)
    })
  return router
}
