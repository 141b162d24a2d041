import type { RequestHandler } from 'express'
import type { Metrics } from '../metrics/metrics.ts'

/** Counts requests by the route that answered, never by the path that a caller made up. */
export function measure(metrics: Metrics): RequestHandler {
  return (request, response, next) => {
    const began = performance.now()
    metrics.open.inc()
    response.once('close', () => {
      const route = typeof request.route?.path === 'string' ? request.route.path : 'none'
      metrics.open.dec()
      metrics.requests.inc({ route, status: response.writableFinished ? String(response.statusCode) : 'cut' })
      metrics.seconds.observe({ route }, (performance.now() - began) / 1000)
    })
    next()
  }
}
