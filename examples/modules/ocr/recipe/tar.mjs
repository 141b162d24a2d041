import { createReadStream } from 'node:fs'

const BLOCK = 512

/**
 * Streams a tar archive whose bytes depend on nothing but the paths, modes and contents of its entries: sorted, owned
 * by root, dated 1970.
 * @param {{ path: string, type: 'file' | 'directory', mode: number, size?: number, source?: string, content?: Buffer, stream?: () => AsyncIterable<Buffer> }[]} entries
 */
export async function* writeTar(entries) {
  for (const entry of [...entries].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const size = entry.type === 'directory' ? 0 : (entry.content?.length ?? entry.size)
    yield header(entry, size)
    if (entry.content) yield entry.content
    else if (entry.stream) yield* entry.stream()
    else if (entry.source) yield* createReadStream(entry.source, { highWaterMark: 1024 * 1024 })
    if (size % BLOCK > 0) yield Buffer.alloc(BLOCK - (size % BLOCK))
  }
  yield Buffer.alloc(2 * BLOCK)
}

function header({ path, type, mode }, size) {
  const block = Buffer.alloc(BLOCK)
  const { prefix, name } = splitPath(type === 'directory' ? `${path}/` : path)
  const octal = (value, offset, length) => block.write(value.toString(8).padStart(length - 1, '0'), offset, 'ascii')
  block.write(name, 0, 'utf8')
  octal(mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(0, 136, 12)
  block.fill(' ', 148, 156)
  block.write(type === 'directory' ? '5' : '0', 156, 'ascii')
  block.write('ustar\u000000', 257, 'ascii')
  block.write(prefix, 345, 'utf8')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'ascii')
  return block
}

// The ustar format holds 100 bytes of name and 155 of folder before it.
function splitPath(path) {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path }
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)]
    if (name !== '' && Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { prefix, name }
  }
  throw new Error(`path does not fit a tar header: ${path}`)
}
