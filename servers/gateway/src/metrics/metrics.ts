import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

/** Counters of one gateway, in the form that Prometheus reads. Labels have few values, and none of them a caller chose. */
export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
  return {
    registry,
    requests: new Counter({
      name: 'gateway_requests_total',
      help: 'Requests by route and status',
      labelNames: ['route', 'status'],
      registers,
    }),
    seconds: new Histogram({
      name: 'gateway_request_seconds',
      help: 'Time to the end of the answer',
      labelNames: ['route'],
      buckets,
      registers,
    }),
    firstToken: new Histogram({
      name: 'gateway_first_token_seconds',
      help: 'Time to the first step of a reply',
      labelNames: ['route'],
      buckets,
      registers,
    }),
    settled: new Counter({
      name: 'gateway_settled_total',
      help: 'Paid requests by how they were settled',
      labelNames: ['outcome'],
      registers,
    }),
    hedges: new Counter({
      name: 'gateway_hedges_total',
      help: 'Streams that were ordered twice, by whether the second order answered',
      labelNames: ['outcome'],
      registers,
    }),
    open: new Gauge({ name: 'gateway_open_requests', help: 'Requests that are being answered', registers }),
  }
}
