import { Router } from 'express'
import { openApiDocument } from '../openapi/document.ts'

/** `GET /openapi.json`. */
export function openApiRoutes(): Router {
  const router = Router()
  const text = JSON.stringify(openApiDocument())
  router.get('/openapi.json', (_request, response) => {
    response.type('application/json').send(text)
  })
  return router
}
