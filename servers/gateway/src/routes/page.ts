import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Router } from 'express'
import sirv from 'sirv'

/** What the page may do: run its own scripts, wear its own styles, talk to this gateway, and nothing else. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

const builtPage = fileURLToPath(new URL('dist', import.meta.resolve('@lilypad-agents/dashboard/package.json')))

/** `GET /`: the page, as files that were built and compressed before. A folder without one leaves the address empty. */
export function pageRoutes(folder: string = builtPage): Router {
  const router = Router()
  if (!existsSync(join(folder, 'index.html'))) return router
  const files = sirv(folder, {
    etag: true,
    gzip: true,
    brotli: true,
    setHeaders(response, path) {
      response.setHeader('content-security-policy', policy)
      response.setHeader('cross-origin-opener-policy', 'same-origin')
      response.setHeader('cross-origin-resource-policy', 'same-origin')
      response.setHeader('referrer-policy', 'no-referrer')
      response.setHeader('permissions-policy', 'camera=(), microphone=(), geolocation=()')
      // A name under /assets has the digest of the file in it.
      const isForever = path.startsWith('/assets/')
      response.setHeader('cache-control', isForever ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
  router.get(['/', '/favicon.svg', '/assets/*path'], files)
  return router
}
