import { createHash } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import type { Hex } from '@lilypad-agents/protocol'
import { attackPrograms } from './attack-programs.ts'

/** The attack program as an image of nothing else, made in memory. */
export type AttackImage = {
  readonly tag: string
  /** Digest of the program, the same on every machine of an architecture. */
  readonly programDigest: Hex
  /** Archive as `docker load` takes it. */
  readonly archive: Buffer
}

const imageArchitectures = { x86_64: 'amd64', aarch64: 'arm64' } as const
type Architecture = keyof typeof imageArchitectures

const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest('hex')

/** Environment of the image. The variable is how images ask the NVIDIA runtime for devices that nobody granted. */
export const attackImageEnvironment = { NVIDIA_VISIBLE_DEVICES: 'all' } as const

/** Makes the image for an architecture as the engine names it, or undefined where there is no program for it. */
export function createAttackImage(architecture: string): AttackImage | undefined {
  if (!isKnown(architecture)) return undefined
  const { sha256: programDigest, deflated } = attackPrograms[architecture]
  const program = inflateRawSync(Buffer.from(deflated, 'base64'))
  if (`0x${sha256(program)}` !== programDigest) throw new Error('the attack program is not the one that was built')
  const layer = createTar([
    { name: 'attack', mode: 0o755, data: program },
    // Owned by root and setuid: becomes root wherever that is not forbidden.
    { name: 'suid', mode: 0o4755, data: program },
  ])
  const config = JSON.stringify({
    architecture: imageArchitectures[architecture],
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: {
      Entrypoint: ['/attack'],
      Env: Object.entries(attackImageEnvironment).map(([name, value]) => `${name}=${value}`),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
  })
  const tag = `lilypad/preflight:${sha256(config).slice(0, 12)}`
  const manifest = JSON.stringify([{ Config: 'config.json', RepoTags: [tag], Layers: ['layer.tar'] }])
  const archive = createTar([
    { name: 'config.json', mode: 0o644, data: Buffer.from(config) },
    { name: 'layer.tar', mode: 0o644, data: layer },
    { name: 'manifest.json', mode: 0o644, data: Buffer.from(manifest) },
  ])
  return { tag, programDigest, archive }
}

function isKnown(architecture: string): architecture is Architecture {
  return architecture in imageArchitectures
}

type TarFile = { readonly name: string; readonly mode: number; readonly data: Buffer }

const blockBytes = 512

/** A ustar archive of files of root, from the first second of 1970. */
function createTar(files: readonly TarFile[]): Buffer {
  const blocks = files.flatMap(({ name, mode, data }) => {
    const header = Buffer.alloc(blockBytes)
    const octal = (value: number, width: number) => value.toString(8).padStart(width, '0')
    header.write(name, 0)
    header.write(octal(mode, 7), 100)
    header.write(octal(0, 7), 108)
    header.write(octal(0, 7), 116)
    header.write(octal(data.length, 11), 124)
    header.write(octal(0, 11), 136)
    header.write(`${' '.repeat(8)}0`, 148)
    header.write('ustar\x0000', 257)
    const sum = header.reduce((total, value) => total + value, 0)
    header.write(`${octal(sum, 6)}\0 `, 148)
    return [header, data, Buffer.alloc((blockBytes - (data.length % blockBytes)) % blockBytes)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)])
}
