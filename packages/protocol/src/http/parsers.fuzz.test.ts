import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { foreignJson } from '../../test/arbitraries.ts'
import { Access } from '../access/access.ts'
import { DsseEnvelope } from '../bundle/dsse-envelope.ts'
import { JobBundle } from '../bundle/job-bundle.ts'
import { InvalidRequestError, parseWire } from '../error/common-errors.ts'
import { JobInputs } from '../module/inputs.ts'
import { ProviderFrame, SolverFrame } from './provider-frame.ts'
import * as api from './solver-api.ts'

const schemas: Record<string, z.ZodType> = {
  Access,
  AcknowledgementRequest: api.AcknowledgementRequest,
  Delivery: api.Delivery,
  DsseEnvelope,
  JobBundle,
  JobEvent: api.JobEvent,
  JobInputs,
  JobView: api.JobView,
  ModuleList: api.ModuleList,
  ModuleListing: api.ModuleListing,
  NetworkInfo: api.NetworkInfo,
  OrderRequest: api.OrderRequest,
  ProviderFrame,
  PublishRequest: api.PublishRequest,
  Quote: api.Quote,
  QuoteRequest: api.QuoteRequest,
  SignedGrant: api.SignedGrant,
  SolverFrame,
}

/** An object that gets past the first look: right names, foreign values. */
const nearMiss = (schema: z.ZodType): fc.Arbitrary<unknown> => {
  const shape = 'shape' in schema ? Object.keys(schema.shape as object) : ['type', 'orderHash', 'code', 'text']
  const record = fc.record(Object.fromEntries(shape.map((name) => [name, foreignJson])), { requiredKeys: [] })
  const frame = fc.record({
    type: fc.constantFrom('challenge', 'order', 'delivered', 'log', 'asks', 'state'),
    orderHash: foreignJson,
  })
  return fc.oneof(foreignJson, record, frame)
}

describe('parseWire throws only its own error', () => {
  test.each(Object.entries(schemas))('for %s', (name, schema) => {
    fc.assert(
      fc.property(nearMiss(schema), (value) => {
        try {
          parseWire(schema, value, name)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidRequestError)
        }
      }),
      { numRuns: 200 },
    )
  })
})
