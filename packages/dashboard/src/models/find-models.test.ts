import { expect, test } from 'vitest'
import type { ModelFacts } from '../gateway/gateway-schema.ts'
import { capabilitiesOf, findModels, type Order, sortModels } from './find-models.ts'

const model = (id: string, change: Partial<ModelFacts> = {}, providers = 1): ModelFacts => ({
  id,
  name: id.toUpperCase(),
  description: 'talks',
  context_length: 1000,
  architecture: { input_modalities: ['text'], output_modalities: ['text'] },
  pricing: { prompt: '0.1', completion: '0.1', request: '0' },
  top_provider: { max_completion_tokens: 10 },
  supported_parameters: ['tools', 'structured_outputs'],
  lilypad: {
    module: id,
    module_version: '0x',
    providers,
    price: { per_job: '0', per_input_unit: '0', per_output_unit: '0' },
  },
  ...change,
})
const models = [
  model('toad', { context_length: 9000, pricing: { prompt: '0.3', completion: '0.1', request: '0' } }, 3),
  model('frog'),
  model('pond', {
    architecture: { input_modalities: ['text'], output_modalities: ['embeddings'] },
    supported_parameters: [],
    pricing: { prompt: '0.01', completion: '0', request: '0' },
  }),
]

test('says what a model can do', () => {
  expect(models.map(capabilitiesOf)).toEqual([
    ['chat', 'tools', 'JSON schema'],
    ['chat', 'tools', 'JSON schema'],
    ['embeddings'],
  ])
})

test.each([
  ['', ['toad', 'frog', 'pond']],
  ['FRO', ['frog']],
  ['talks tools', ['toad', 'frog']],
  ['embeddings pond', ['pond']],
  ['newt', []],
])('finds by %j', (search, expected) => {
  expect(findModels(models, search).map(({ id }) => id)).toEqual(expected)
})

test.each<[Order, string[]]>([
  ['name', ['frog', 'pond', 'toad']],
  ['price', ['pond', 'frog', 'toad']],
  ['context', ['toad', 'frog', 'pond']],
  ['providers', ['toad', 'frog', 'pond']],
])('sorts by %s', (order, expected) => {
  expect(sortModels(models, order).map(({ id }) => id)).toEqual(expected)
})
