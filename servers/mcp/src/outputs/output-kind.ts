/** Most bytes of an image that is shown to a model. */
export const maxImageBytes = 256 * 1024

/** Bytes of a picture that is made smaller; larger ones are linked only. */
export const maxPreviewedBytes = 24 * 1024 * 1024

const startsWith = (bytes: Uint8Array, ...start: readonly number[]) =>
  start.every((byte, index) => bytes[index] === byte)

/** Media type of an image by its first bytes, whatever its name says; undefined for anything else. */
export function findImageType(bytes: Uint8Array): string | undefined {
  if (startsWith(bytes, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'image/png'
  if (startsWith(bytes, 0xff, 0xd8, 0xff)) return 'image/jpeg'
  if (startsWith(bytes, 0x47, 0x49, 0x46, 0x38)) return 'image/gif'
  if (startsWith(bytes, 0x52, 0x49, 0x46, 0x46) && startsWith(bytes.slice(8), 0x57, 0x45, 0x42, 0x50))
    return 'image/webp'
  return undefined
}

/** The bytes as text, when they are text all through: valid UTF-8 without control characters. */
export function findText(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters tell binary from text
    return /[\u0000-\u0008\u000b\u000e-\u001a\u001c-\u001f]/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

/** Whether a media type is one of the images that can be told from their first bytes. */
export const isImageType = (mediaType: string): boolean => /^image\/(png|jpeg|gif|webp)$/.test(mediaType)
