import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import type { RequestHandler } from 'express'

/** Traces of one gateway. */
export type Tracing = {
  /** Goes on with the trace of a request, or begins one. */
  readonly middleware: RequestHandler
  /** `fetch` that carries the trace of the request on whose behalf it is called. */
  readonly fetch: typeof fetch
  /** Sends what is left. */
  close(): Promise<void>
}

const serviceName = 'lilypad-gateway'
const propagator = new W3CTraceContextPropagator()

/**
 * Takes up the W3C trace of each request and carries it on to the solver. Spans are made and sent only where a collector is named;
 * they tell routes, statuses and the gateway's own ids, nothing that anybody wrote.
 * @see https://www.w3.org/TR/trace-context/
 */
export async function createTracing(collectorUrl: string | undefined): Promise<Tracing> {
  const { tracer, close } = collectorUrl === undefined ? quiet() : await openExport(collectorUrl)
  const current = new AsyncLocalStorage<Context>()
  return {
    middleware(request, response, next) {
      const from = propagator.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter)
      const span = tracer.startSpan(request.method, { kind: SpanKind.SERVER }, from)
      if (span.isRecording())
        response.once('close', () => {
          const route = typeof request.route?.path === 'string' ? request.route.path : 'none'
          span.updateName(`${request.method} ${route}`)
          span.setAttributes({
            'http.request.method': request.method,
            'http.route': route,
            'http.response.status_code': response.statusCode,
            'lilypad.request_id': String(response.getHeader('x-request-id') ?? ''),
            'lilypad.job': String(response.getHeader('x-lilypad-job') ?? ''),
          })
          const isWhole = response.writableFinished && response.statusCode < 500
          if (!isWhole) span.setStatus({ code: SpanStatusCode.ERROR })
          span.end()
        })
      current.run(trace.setSpan(from, span), next)
    },
    async fetch(input, init = {}) {
      const from = current.getStore()
      if (!from || !trace.getSpanContext(from)?.traceId) return fetch(input, init)
      const method = init.method ?? 'GET'
      const span = tracer.startSpan(`${method} solver`, { kind: SpanKind.CLIENT }, from)
      const headers: Record<string, string> = {}
      propagator.inject(trace.setSpan(from, span), headers, defaultTextMapSetter)
      const all = new Headers(init.headers)
      for (const [name, value] of Object.entries(headers)) all.set(name, value)
      try {
        const response = await fetch(input, { ...init, headers: all })
        span.setAttribute('http.response.status_code', response.status)
        return response
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR })
        throw error
      } finally {
        span.end()
      }
    },
    close,
  }
}

type Source = { readonly tracer: Tracer; readonly close: () => Promise<void> }

/** Passes on the trace that a caller began, and makes none. */
const quiet = (): Source => ({ tracer: trace.getTracer(serviceName), close: async () => {} })

async function openExport(url: string): Promise<Source> {
  const [{ BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all(
    [
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ],
  )
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    spanProcessors: [
      new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${url.replace(/\/$/, '')}/v1/traces` }) }),
    ],
  })
  return {
    tracer: provider.getTracer(serviceName),
    // A collector that is away holds nothing up.
    close: () => provider.shutdown().catch(() => {}),
  }
}
