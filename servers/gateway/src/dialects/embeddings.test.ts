import { expect, test } from 'vitest'
import { embeddingsBody, parseEmbeddingsRequest, readEmbeddings, toUpstreamEmbeddings } from './embeddings.ts'

const request = parseEmbeddingsRequest({
  model: 'm',
  input: ['a', 'b'],
  encoding_format: 'base64',
  dimensions: 2,
  user: 'x',
})
const reply = (data: unknown, usage: unknown = { prompt_tokens: 3 }) => Buffer.from(JSON.stringify({ data, usage }))
const settlement = { jobId: '0x01', receipt: '0x02', cost: '0.1', costUsd: 0.1 }

test('vectors come in the order of the texts, in the encoding that was asked for', () => {
  const read = readEmbeddings(
    reply([
      { index: 1, embedding: [3, 4] },
      { index: 0, embedding: [1, -0.5] },
    ]),
    request,
  )
  expect(read).toEqual({
    vectors: [
      [1, -0.5],
      [3, 4],
    ],
    inputTokens: 3,
  })
  const body = embeddingsBody(request, { ...read, inputTokens: 3, settlement })
  expect(body).toMatchObject({
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: 'AACAPwAAAL8=' }, { index: 1 }],
    usage: { prompt_tokens: 3, total_tokens: 3, cost: 0.1 },
    lilypad: { job_id: '0x01', receipt: '0x02' },
  })
  const floats = embeddingsBody({ ...request, encoding_format: null }, { ...read, inputTokens: 3, settlement })
  expect(floats.data).toMatchObject([{ embedding: [1, -0.5] }, { embedding: [3, 4] }])
  expect(toUpstreamEmbeddings(request)).toEqual({
    model: 'm',
    input: ['a', 'b'],
    encoding_format: 'float',
    dimensions: 2,
  })
})

test.each([
  ['too few', [{ index: 0, embedding: [1] }], 'unfinished'],
  ['too many', [1, 2, 3].map(() => ({ embedding: [1] })), 'unfinished'],
  ['one twice', [0, 0].map((index) => ({ index, embedding: [1] })), 'unfinished'],
  [
    'one far away',
    [
      { index: 0, embedding: [1] },
      { index: 9, embedding: [1] },
    ],
    'unfinished',
  ],
  ['two lengths', [{ embedding: [1] }, { embedding: [1, 2] }], 'unfinished'],
  ['texts', [{ embedding: ['1'] }, { embedding: ['1'] }], 'event'],
  ['nothing', undefined, 'event'],
])('a reply that does not fit the request is a fault: %s', (_, data, fault) => {
  expect(() => readEmbeddings(reply(data), request)).toThrow(
    expect.objectContaining({ code: 'UPSTREAM_FAILED', fault }),
  )
})

test.each([
  ['nothing', {}],
  ['an empty text', { model: 'm', input: '' }],
  ['tokens', { model: 'm', input: [1, 2] }],
  ['no texts', { model: 'm', input: [] }],
])('a bad request is refused: %s', (_, body) => {
  expect(() => parseEmbeddingsRequest(body)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
})
