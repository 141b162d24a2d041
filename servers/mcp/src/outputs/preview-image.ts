import type { ToolImage } from '../tool/define-tool.ts'
import { findImageType } from './output-kind.ts'
import { previewPng } from './preview-png.ts'

/** A smaller picture of an image that is too large to be shown, or undefined when it cannot be had. */
export async function previewImage(bytes: Uint8Array): Promise<ToolImage | undefined> {
  const mediaType = findImageType(bytes)
  switch (mediaType) {
    case 'image/png': {
      const preview = await previewPng(bytes)
      return preview && { bytes: preview, mediaType }
    }
    case 'image/jpeg':
    case 'image/webp': {
      // The codecs are half a megabyte, read only when they are needed.
      const { previewPhoto } = await import('./preview-photo.ts')
      const preview = await previewPhoto(bytes, mediaType)
      return preview && { bytes: preview, mediaType: 'image/jpeg' }
    }
    default:
      return undefined
  }
}
