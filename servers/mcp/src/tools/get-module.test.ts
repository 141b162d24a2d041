import { sha256 } from '@lilypad-agents/protocol'
import type { StoredQuote } from '@lilypad-agents/sdk'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createSampleBundle, sampleModule } from '../../../../packages/sdk/test/sample-bundle.ts'
import { seedNetwork } from '../../test/seed-jobs.ts'
import { approvalFacts, factsText } from '../approval/approval-facts.ts'
import { createLogger } from '../log/logger.ts'
import type { ToolContext } from '../tool/tool-context.ts'
import { getModule } from './get-module.ts'

const hosts = ['api.example.org:443', 'files.example.org:443']
const talking = { ...sampleModule, network: { hosts } }

/** What the tool says of a module with this manifest. */
async function read(manifest: typeof sampleModule) {
  const address = seedNetwork.contracts.lilyToken
  const listing = {
    name: 'sample',
    author: address,
    moduleVersion: sha256('v'),
    deprecated: false,
    manifest,
    offers: [],
  }
  // Only what this tool uses of a context.
  const context = {
    ...{ logger: createLogger('silent'), config: {}, signal: new AbortController().signal },
    lilypad: { network: seedNetwork, getModule: async () => listing },
  } as unknown as ToolContext
  const told = await getModule.call({ module: 'sample' }, context)
  return z.object({ summary: z.string(), untrusted: z.looseObject({}) }).parse(told.structuredContent)
}

/** What a person is asked about an order for it. */
function factsOf(module: typeof sampleModule): string {
  const { ask, order, inputs } = createSampleBundle()
  const { moduleVersion, inputsDigest } = order.order
  const quote: StoredQuote['quote'] = {
    ...{ quoteId: sha256('q'), module: 'sample', moduleVersion, manifestDigest: sha256('m'), inputsDigest, ask },
    ...{ maxPrice: 1n, expectedPrice: 1n, expectedSeconds: 1, startBy: 1, deliverBy: 2, expiresAt: 3 },
  }
  return factsText(approvalFacts({ quote, module, inputs }, { network: seedNetwork, left: 1n }))
}

test('a module that talks to hosts says which, to the model as words of a stranger and to the person who approves', async () => {
  const told = await read(talking)
  expect(told).toMatchObject({ untrusted: { hosts } })
  expect(told.summary).toContain('It talks to 2 hosts outside, named under untrusted: inputs can go there.')
  expect(factsOf(talking)).toContain(`\nTalks to: ${hosts.join(', ')}\n`)
})

test('one without a network says nothing of hosts', async () => {
  const told = await read(sampleModule)
  expect(told.untrusted).not.toHaveProperty('hosts')
  expect(told.summary).not.toContain('talks to')
  expect(factsOf(sampleModule)).not.toContain('Talks to')
})
