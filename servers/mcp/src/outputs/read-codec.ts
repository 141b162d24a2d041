import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

/** Codecs as WebAssembly, by where they lie in their packages. */
export const codecFiles = {
  jpegDecoder: '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm',
  jpegEncoder: '@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm',
  webpDecoder: '@jsquash/webp/codec/dec/webp_dec.wasm',
} as const

/** The bytes of a codec. The published bundle has a module in place of this one that holds them. */
export const readCodec = (codec: keyof typeof codecFiles): Promise<Uint8Array<ArrayBuffer>> =>
  readFile(createRequire(import.meta.url).resolve(codecFiles[codec]))
