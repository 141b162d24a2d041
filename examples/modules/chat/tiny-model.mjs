// usage: node tiny-model.mjs <file>
// Writes a language model of 0.4 MB with random weights, the same bytes each time. It says nonsense, but it loads, streams, counts and can
// be compared: what tests of everything around a model need.
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const shape = { vocabulary: 259 + 95, width: 64, layers: 2, heads: 4, hidden: 128, context: 512 }
const alignment = 32
const types = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 }

/** mulberry32: a small generator whose numbers are the same everywhere. */
function randomNumbers(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const uint32 = (value) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const uint64 = (value) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
const float32 = (value) => {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return bytes
}
const text = (value) => {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint64(bytes.length), bytes])
}
const encoders = { uint32, int32: uint32, float32, string: text, bool: (value) => Buffer.from([value ? 1 : 0]) }
const entry = (key, type, value) => Buffer.concat([text(key), uint32(types[type]), encoders[type](value)])
const list = (key, type, values) =>
  Buffer.concat([
    text(key),
    uint32(types.array),
    uint32(types[type]),
    uint64(values.length),
    ...values.map((value) => encoders[type](value)),
  ])

/** Tokens of a SentencePiece model: three controls, all bytes, then the printable characters. */
function vocabulary() {
  const control = ['<unk>', '<s>', '</s>'].map((token, index) => ({ token, type: index === 0 ? 2 : 3 }))
  const bytes = Array.from({ length: 256 }, (_, byte) => ({
    token: `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
    type: 6,
  }))
  const characters = Array.from({ length: 95 }, (_, at) => ({
    token: at === 0 ? '\u2581' : String.fromCharCode(32 + at),
    type: 1,
  }))
  return [...control, ...bytes, ...characters]
}

function tensors() {
  const { vocabulary: tokens, width, layers, hidden } = shape
  const one = (name) => ({ name, dimensions: [width], isNorm: true })
  const matrix = (name, columns, rows) => ({ name, dimensions: [columns, rows], isNorm: false })
  const layer = (index) => [
    one(`blk.${index}.attn_norm.weight`),
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((name) => matrix(`blk.${index}.${name}.weight`, width, width)),
    one(`blk.${index}.ffn_norm.weight`),
    matrix(`blk.${index}.ffn_gate.weight`, width, hidden),
    matrix(`blk.${index}.ffn_up.weight`, width, hidden),
    matrix(`blk.${index}.ffn_down.weight`, hidden, width),
  ]
  return [
    matrix('token_embd.weight', width, tokens),
    ...Array.from({ length: layers }, (_, index) => layer(index)).flat(),
    one('output_norm.weight'),
  ]
}

/** A GGUF file, version 3. @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
export function createTinyModel(seed = 1) {
  const { width, layers, heads, hidden, context } = shape
  const random = randomNumbers(seed)
  const tokens = vocabulary()
  const metadata = [
    entry('general.architecture', 'string', 'llama'),
    entry('general.name', 'string', 'Tiny random'),
    entry('general.alignment', 'uint32', alignment),
    entry('llama.context_length', 'uint32', context),
    entry('llama.embedding_length', 'uint32', width),
    entry('llama.block_count', 'uint32', layers),
    entry('llama.feed_forward_length', 'uint32', hidden),
    entry('llama.rope.dimension_count', 'uint32', width / heads),
    entry('llama.attention.head_count', 'uint32', heads),
    entry('llama.attention.head_count_kv', 'uint32', heads),
    entry('llama.attention.layer_norm_rms_epsilon', 'float32', 1e-5),
    entry('tokenizer.ggml.model', 'string', 'llama'),
    list(
      'tokenizer.ggml.tokens',
      'string',
      tokens.map(({ token }) => token),
    ),
    list(
      'tokenizer.ggml.scores',
      'float32',
      tokens.map((_, index) => -index),
    ),
    list(
      'tokenizer.ggml.token_type',
      'int32',
      tokens.map(({ type }) => type),
    ),
    entry('tokenizer.ggml.bos_token_id', 'uint32', 1),
    entry('tokenizer.ggml.eos_token_id', 'uint32', 2),
    entry('tokenizer.ggml.unknown_token_id', 'uint32', 0),
    entry('tokenizer.ggml.add_bos_token', 'bool', true),
  ]
  const infos = []
  const data = []
  let offset = 0
  for (const { name, dimensions, isNorm } of tensors()) {
    const count = dimensions.reduce((product, size) => product * size, 1)
    const values = Buffer.alloc(Math.ceil((4 * count) / alignment) * alignment)
    const scale = isNorm ? 0 : 2 / Math.sqrt(dimensions[0])
    for (let index = 0; index < count; index += 1)
      values.writeFloatLE(isNorm ? 1 : (random() - 0.5) * 2 * scale, 4 * index)
    // Type 0: 32-bit floats.
    infos.push(text(name), uint32(dimensions.length), ...dimensions.map(uint64), uint32(0), uint64(offset))
    data.push(values)
    offset += values.length
  }
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    uint32(3),
    uint64(tensors().length),
    uint64(metadata.length),
    ...metadata,
    ...infos,
  ])
  const padding = Buffer.alloc((alignment - (head.length % alignment)) % alignment)
  return Buffer.concat([head, padding, ...data])
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await writeFile(process.argv[2] ?? 'tiny.gguf', createTinyModel())
