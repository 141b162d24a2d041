import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256 } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { blobCid, fileCid, folderCid, pathCid } from './folder-cid.ts'

const bytes = (text: string) => [new TextEncoder().encode(text)]

test.each([
  ['hello world and a line break', 'hello world\n', 'v0', 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o'],
  ['hello world', 'hello world', 'v0', 'Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD'],
  ['hello world', 'hello world', 'v1', 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'],
  ['nothing', '', 'v0', 'QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH'],
  ['nothing', '', 'v1', 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'],
] as const)('a file with %s is named as everywhere (%#)', async (_name, text, version, cid) => {
  expect(await fileCid(bytes(text), version)).toBe(cid)
})

test.each([
  ['v0', 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn'],
  ['v1', 'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354'],
] as const)('an empty folder is named as everywhere: %s', async (version, cid) => {
  expect(await folderCid([], version)).toBe(cid)
})

test('a small blob has the same name by its digest as by its bytes', async () => {
  expect(blobCid(sha256('hello world'))).toBe(await fileCid(bytes('hello world')))
})

test('a folder on disk has the name of its files, whatever their order', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lilypad-cid-'))
  try {
    await mkdir(join(folder, 'b', 'deep'), { recursive: true })
    await writeFile(join(folder, 'b', 'deep', 'two.txt'), 'two')
    await writeFile(join(folder, 'a.txt'), 'one')
    await writeFile(join(folder, 'large.bin'), Buffer.alloc(1_000_000, 'pond'))
    const files = [
      { path: 'large.bin', content: [new Uint8Array(Buffer.alloc(1_000_000, 'pond'))] },
      { path: 'b/deep/two.txt', content: bytes('two') },
      { path: 'a.txt', content: bytes('one') },
    ]
    for (const version of ['v0', 'v1'] as const)
      expect(await folderCid(files, version)).toBe(await pathCid(folder, version))
    await symlink('/etc/passwd', join(folder, 'link'))
    await expect(pathCid(folder)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    await expect(pathCid(join(folder, 'link'))).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  } finally {
    await rm(folder, { recursive: true })
  }
})

/** Names that `ipfs add -Qrn` of Kubo 0.42.0 gives, with and without `--cid-version=1`. */
const large = () => [new Uint8Array(Buffer.alloc(1_000_000, 'pond'))]
function* huge() {
  const part = Uint8Array.from({ length: 256 * 200 }, (_, index) => index % 256)
  for (let index = 0; index < 1000; index += 1) yield part
}
test.each([
  ['some chunks', 'v0', large, 'QmefxrLwdeyy74XtEjK57wXzyGdKwvTfzvwdAaRzA37Gqd'],
  ['some chunks', 'v1', large, 'bafybeiciieu62xhzpvxsdilvydpvgaeysqr55xgb2cxbdhqr36xgokkqxe'],
  ['more chunks than one node holds', 'v0', huge, 'QmeHkVHNeo2FZnSEayy6kvbEEkkjx4Yz1n3pSZzdAvceTh'],
  ['more chunks than one node holds', 'v1', huge, 'bafybeib4oj4zrubcv6bhyppnasgstaiwn77ddm2obdttxdpdesqn2wpkoe'],
] as const)('a file of %s is named as by Kubo: %s', async (_name, version, content, cid) => {
  expect(await fileCid(content(), version)).toBe(cid)
})

test.each([
  ['v0', 'QmdcFNyMi5DTAP7VBF7jtbyLW3uUyZPhX9BvxhAPasZ933'],
  ['v1', 'bafybeiesusph7wgbryxislki2jexi6uq6ermvbgpwpkf745ljzfg66ihu4'],
] as const)('a folder that is too large for one block is named as by Kubo: %s', async (version, cid) => {
  const files = Array.from({ length: 6000 }, (_, index) => ({
    path: `file-${String(index).padStart(5, '0')}-with-a-rather-long-name.txt`,
    content: bytes(String(index)),
  }))
  expect(await folderCid(files, version)).toBe(cid)
})
