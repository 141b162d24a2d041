import { createHash } from 'node:crypto'

import { writeTar } from './tar.mjs'

const EPOCH = '1970-01-01T00:00:00Z'

/**
 * Puts a one-layer image together in the form that both `docker load` (manifest.json) and OCI tools (index.json) read.
 * The same tree and settings give the same ids.
 */
export async function createImageArchive({ tree, config, reference }) {
  const layer = await measure(() => writeTar(tree))
  const image = jsonBlob({
    architecture: 'amd64',
    os: 'linux',
    created: EPOCH,
    config,
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
    history: [{ created: EPOCH, created_by: 'lilypad module ocr, build.mjs' }],
  })
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: image.digest, size: image.size },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer.digest, size: layer.size }],
  })
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: manifest.digest,
        size: manifest.size,
        annotations: {
          'io.containerd.image.name': `docker.io/${reference}`,
          'org.opencontainers.image.ref.name': reference.split(':')[1],
        },
      },
    ],
  }
  const file = (path, part) => ({ path, type: 'file', mode: 0o644, ...part })
  const entries = [
    { path: 'blobs', type: 'directory', mode: 0o755 },
    { path: 'blobs/sha256', type: 'directory', mode: 0o755 },
    file(blobPath(layer), { size: layer.size, stream: () => writeTar(tree) }),
    file(blobPath(image), { content: image.content }),
    file(blobPath(manifest), { content: manifest.content }),
    file('index.json', { content: Buffer.from(JSON.stringify(index)) }),
    file('manifest.json', {
      content: Buffer.from(
        JSON.stringify([{ Config: blobPath(image), RepoTags: [reference], Layers: [blobPath(layer)] }]),
      ),
    }),
    file('oci-layout', { content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') }),
  ]
  return {
    imageId: image.digest,
    manifestDigest: manifest.digest,
    layerBytes: layer.size,
    stream: () => writeTar(entries),
  }
}

const blobPath = ({ digest }) => `blobs/${digest.replace(':', '/')}`

function jsonBlob(value) {
  const content = Buffer.from(JSON.stringify(value))
  return { content, size: content.length, digest: `sha256:${createHash('sha256').update(content).digest('hex')}` }
}

async function measure(stream) {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of stream()) {
    hash.update(chunk)
    size += chunk.length
  }
  return { size, digest: `sha256:${hash.digest('hex')}` }
}
