// Runs inside the image. stdin: the job's inputs as JSON. /in: its files, read-only. /out: the answer.
import { writeFileSync } from 'node:fs'
import { text as readText } from 'node:stream/consumers'

import Ocr from '@gutenye/ocr-node'
import sharp from 'sharp'

const MAX_DECODED_PIXELS = 50_000_000
// The models need ~80 bytes of working memory a pixel; an A4 page at 200 dpi (1654 x 2339) still fits at full size.
const MAX_READ_PIXELS = 4_000_000
const MODEL_BLOCK = 32
// The decoder knows more formats than the module promises, some of which (SVG) read fonts of the machine.
const FORMATS = ['png', 'jpeg', 'webp']
// One thread: more would change nothing in the text, but fights with other jobs for the same core.
const onnxOptions = { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential' }

class UnreadableInputError extends Error {}

async function main() {
  const inputs = JSON.parse(await readText(process.stdin))
  const path = inputs.image?.path
  if (typeof path !== 'string') throw new UnreadableInputError('The input `image` is missing.')

  progress(0.05, 'decoding the image')
  const { image, scale } = await decode(path)
  progress(0.2, 'loading the models')
  const ocr = await Ocr.create({ onnxOptions })
  progress(0.4, 'reading')
  const found = await ocr.detect(image)

  const lines = found.map((line) => ({
    text: line.text,
    confidence: Math.round(line.mean * 1000) / 1000,
    box: line.box.map((point) => point.map((coordinate) => Math.round(coordinate / scale))),
  }))
  const text = lines.map((line) => line.text).join('\n')
  writeFileSync('/out/result.json', `${JSON.stringify({ lines, text }, null, 2)}\n`)
  writeFileSync('/out/text.txt', text === '' ? '' : `${text}\n`)
  progress(1, `${lines.length} lines`)
}

/** Gives the models an opaque picture whose sides need no further padding, so that boxes stay in the coordinates of the input. */
async function decode(path) {
  const { data, info } = await decodePixels(path).catch((cause) => {
    throw new UnreadableInputError(`The image cannot be decoded: ${String(cause.message).slice(0, 200)}`)
  })
  const scale = Math.min(1, Math.sqrt(MAX_READ_PIXELS / (info.width * info.height)))
  const width = Math.max(1, Math.floor(info.width * scale))
  const height = Math.max(1, Math.floor(info.height * scale))
  const resized = await sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels } })
    .resize({ width, height, fit: 'fill' })
    .raw()
    .toBuffer()
  const image = await sharp(resized, { raw: { width, height, channels: info.channels } })
    .extend({ right: padding(width), bottom: padding(height), background: 'white' })
    .png({ compressionLevel: 0 })
    .toBuffer()
  return { image, scale }
}

async function decodePixels(path) {
  const source = sharp(path, { limitInputPixels: MAX_DECODED_PIXELS })
  const { format } = await source.metadata()
  if (!FORMATS.includes(format)) throw new UnreadableInputError(`expected ${FORMATS.join(', ')}, got ${format}`)
  return source
    .rotate() // as the camera's orientation tag says
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
}

function padding(length) {
  return (MODEL_BLOCK - (length % MODEL_BLOCK)) % MODEL_BLOCK
}

function progress(fraction, text) {
  process.stderr.write(`lilypad-progress ${fraction} ${text}\n`)
}

sharp.concurrency(1)
sharp.cache(false)
try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof UnreadableInputError ? error.message : error.stack}\n`)
  process.exitCode = error instanceof UnreadableInputError ? 2 : 1
}
