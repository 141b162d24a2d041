import { Directory, Fd, Inode, OpenDirectory, wasi } from '@bjorn3/browser_wasi_shim'

let nextInode = 1n
Inode.issue_ino = () => nextInode++

/** Numbers files from the start again. A program sees the numbers, so each job starts with the same one. */
export function restartInodes(): void {
  nextInode = 1n
}

/** What a writable tree may hold. `isExceeded` stays true once the program ran into it, whatever it made of the error. */
export class Quota {
  bytesLeft: number
  filesLeft: number
  foldersLeft: number
  isExceeded = false

  constructor(limits: { readonly bytes: number; readonly files: number; readonly folders: number }) {
    this.bytesLeft = limits.bytes
    this.filesLeft = limits.files
    this.foldersLeft = limits.folders
  }

  take(what: 'bytesLeft' | 'filesLeft' | 'foldersLeft', amount: number): boolean {
    if (amount > this[what]) {
      this.isExceeded = true
      return false
    }
    this[what] -= amount
    return true
  }
}

/** Content of a file in memory. Grows by doubling; a file without a quota cannot be written. */
export class MemoryFile extends Inode {
  #bytes: Uint8Array
  #size: number
  readonly #quota: Quota | undefined
  #names = 1
  #opens = 0

  constructor(bytes: Uint8Array, quota?: Quota) {
    super()
    this.#bytes = bytes
    this.#size = bytes.length
    this.#quota = quota
  }

  get size(): number {
    return this.#size
  }

  get isWritable(): boolean {
    return this.#quota !== undefined
  }

  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.#size)
  }

  /** Changes the size, filling with zeros. False when the quota does not allow it. */
  resize(size: number): boolean {
    if (this.#quota === undefined) return false
    if (size > this.#size) {
      if (!this.#quota.take('bytesLeft', size - this.#size)) return false
      if (size > this.#bytes.length) {
        const room = Math.max(size, Math.min(this.#bytes.length * 2, size + this.#quota.bytesLeft), 4096)
        const grown = new Uint8Array(room)
        grown.set(this.content)
        this.#bytes = grown
      }
    } else {
      this.#bytes.fill(0, size, this.#size)
      this.#quota.bytesLeft += this.#size - size
    }
    this.#size = size
    return true
  }

  write(data: Uint8Array, offset: number): boolean {
    if (offset + data.length > this.#size && !this.resize(offset + data.length)) return false
    this.#bytes.set(data, offset)
    return true
  }

  /** Counts names and open descriptors, so that a deleted file gives its room back once nobody holds it. */
  count(what: 'names' | 'opens', change: 1 | -1): void {
    const wasAlive = this.#names > 0 || this.#opens > 0
    if (what === 'names') this.#names += change
    else this.#opens += change
    if (!wasAlive || this.#names > 0 || this.#opens > 0 || this.#quota === undefined) return
    this.resize(0)
    this.#bytes = new Uint8Array()
    this.#quota.filesLeft += 1
  }

  override path_open(oflags: number, rights: bigint, fdFlags: number) {
    const wantsToWrite = (rights & BigInt(wasi.RIGHTS_FD_WRITE)) !== 0n
    const truncates = (oflags & wasi.OFLAGS_TRUNC) !== 0
    if (!this.isWritable && (wantsToWrite || truncates)) return { ret: wasi.ERRNO_ROFS, fd_obj: null }
    if (truncates) this.resize(0)
    return { ret: wasi.ERRNO_SUCCESS, fd_obj: new OpenMemoryFile(this, (fdFlags & wasi.FDFLAGS_APPEND) !== 0) }
  }

  override stat() {
    return new wasi.Filestat(this.ino, wasi.FILETYPE_REGULAR_FILE, BigInt(this.#size))
  }
}

const maxOffset = BigInt(Number.MAX_SAFE_INTEGER)

/** An open file: a position in a {@link MemoryFile}. */
export class OpenMemoryFile extends Fd {
  readonly #file: MemoryFile
  readonly #appends: boolean
  #position = 0n

  constructor(file: MemoryFile, appends = false) {
    super()
    this.#file = file
    this.#appends = appends
    file.count('opens', 1)
  }

  override fd_close() {
    this.#file.count('opens', -1)
    return wasi.ERRNO_SUCCESS
  }

  override fd_fdstat_get() {
    return {
      ret: wasi.ERRNO_SUCCESS,
      fdstat: new wasi.Fdstat(wasi.FILETYPE_REGULAR_FILE, this.#appends ? wasi.FDFLAGS_APPEND : 0),
    }
  }

  override fd_filestat_get() {
    return { ret: wasi.ERRNO_SUCCESS, filestat: this.#file.stat() }
  }

  override fd_allocate(offset: bigint, length: bigint) {
    return offset + length <= BigInt(this.#file.size) ? wasi.ERRNO_SUCCESS : this.#resize(offset + length)
  }

  override fd_filestat_set_size(size: bigint) {
    return this.#resize(size)
  }

  #resize(size: bigint) {
    if (!this.#file.isWritable) return wasi.ERRNO_ROFS
    if (size < 0n) return wasi.ERRNO_INVAL
    return this.#file.resize(Number(size > maxOffset ? maxOffset : size)) ? wasi.ERRNO_SUCCESS : wasi.ERRNO_NOSPC
  }

  override fd_read(size: number) {
    const read = this.fd_pread(size, this.#position)
    this.#position += BigInt(read.data.length)
    return read
  }

  override fd_pread(size: number, offset: bigint) {
    if (offset < 0n) return { ret: wasi.ERRNO_INVAL, data: new Uint8Array() }
    if (offset >= BigInt(this.#file.size)) return { ret: wasi.ERRNO_SUCCESS, data: new Uint8Array() }
    const start = Number(offset)
    return { ret: wasi.ERRNO_SUCCESS, data: this.#file.content.subarray(start, start + size) }
  }

  override fd_write(data: Uint8Array) {
    if (this.#appends) this.#position = BigInt(this.#file.size)
    const written = this.fd_pwrite(data, this.#position)
    this.#position += BigInt(written.nwritten)
    return written
  }

  override fd_pwrite(data: Uint8Array, offset: bigint) {
    if (!this.#file.isWritable) return { ret: wasi.ERRNO_BADF, nwritten: 0 }
    if (offset < 0n) return { ret: wasi.ERRNO_INVAL, nwritten: 0 }
    if (data.length === 0) return { ret: wasi.ERRNO_SUCCESS, nwritten: 0 }
    const isWritten = this.#file.write(data, Number(offset > maxOffset ? maxOffset : offset))
    return isWritten ? { ret: wasi.ERRNO_SUCCESS, nwritten: data.length } : { ret: wasi.ERRNO_NOSPC, nwritten: 0 }
  }

  override fd_seek(offset: bigint, whence: number) {
    const bases = new Map([
      [wasi.WHENCE_SET, 0n],
      [wasi.WHENCE_CUR, this.#position],
      [wasi.WHENCE_END, BigInt(this.#file.size)],
    ])
    const base = bases.get(whence)
    if (base === undefined || base + offset < 0n || base + offset > maxOffset)
      return { ret: wasi.ERRNO_INVAL, offset: 0n }
    this.#position = base + offset
    return { ret: wasi.ERRNO_SUCCESS, offset: this.#position }
  }

  override fd_tell() {
    return { ret: wasi.ERRNO_SUCCESS, offset: this.#position }
  }

  override fd_sync() {
    return wasi.ERRNO_SUCCESS
  }
}

type Named = { readonly parent: MemoryDirectory; readonly name: string; readonly entry: Inode | undefined }

/** A folder in memory. Without a quota it is read-only. */
export class MemoryDirectory extends Directory {
  readonly quota: Quota | undefined

  constructor(quota?: Quota) {
    super(new Map())
    this.quota = quota
  }

  override path_open() {
    return { ret: wasi.ERRNO_SUCCESS, fd_obj: new OpenMemoryDirectory(this) }
  }

  /** Finds the folder and last name of a relative path, or gives the error number. */
  locate(path: string): Named | number {
    if (path.startsWith('/')) return wasi.ERRNO_NOTCAPABLE
    if (path.includes('\0')) return wasi.ERRNO_INVAL
    const parts: string[] = []
    for (const part of path.split('/')) {
      if (part === '' || part === '.') continue
      if (part !== '..') parts.push(part)
      else if (parts.pop() === undefined) return wasi.ERRNO_NOTCAPABLE
    }
    const name = parts.pop()
    if (name === undefined) return wasi.ERRNO_INVAL
    let parent: MemoryDirectory = this
    for (const part of parts) {
      const next = parent.contents.get(part)
      if (next === undefined) return wasi.ERRNO_NOENT
      if (!(next instanceof MemoryDirectory)) return wasi.ERRNO_NOTDIR
      parent = next
    }
    return { parent, name, entry: parent.contents.get(name) }
  }

  override create_entry_for_path(path: string, isFolder: boolean): { ret: number; entry: Inode | null } {
    const located = this.locate(path)
    if (typeof located === 'number') return { ret: located, entry: null }
    const { quota } = located.parent
    if (quota === undefined) return { ret: wasi.ERRNO_ROFS, entry: null }
    if (located.entry !== undefined) return { ret: wasi.ERRNO_EXIST, entry: null }
    if (!quota.take(isFolder ? 'foldersLeft' : 'filesLeft', 1)) return { ret: wasi.ERRNO_NOSPC, entry: null }
    const entry = isFolder ? new MemoryDirectory(quota) : new MemoryFile(new Uint8Array(), quota)
    located.parent.contents.set(located.name, entry)
    return { ret: wasi.ERRNO_SUCCESS, entry }
  }
}

/** An open folder. Hard and symbolic links do not exist here; renaming stays inside one quota. */
export class OpenMemoryDirectory extends OpenDirectory {
  override dir: MemoryDirectory

  constructor(dir: MemoryDirectory) {
    super(dir)
    this.dir = dir
  }

  override path_unlink_file(path: string): number {
    const located = this.dir.locate(path)
    if (typeof located === 'number') return located
    const { parent, name, entry } = located
    if (parent.quota === undefined) return wasi.ERRNO_ROFS
    if (entry === undefined) return wasi.ERRNO_NOENT
    if (!(entry instanceof MemoryFile)) return wasi.ERRNO_ISDIR
    parent.contents.delete(name)
    entry.count('names', -1)
    return wasi.ERRNO_SUCCESS
  }

  override path_remove_directory(path: string): number {
    const located = this.dir.locate(path)
    if (typeof located === 'number') return located
    const { parent, name, entry } = located
    if (parent.quota === undefined) return wasi.ERRNO_ROFS
    if (entry === undefined) return wasi.ERRNO_NOENT
    if (!(entry instanceof MemoryDirectory)) return wasi.ERRNO_NOTDIR
    if (entry.contents.size > 0) return wasi.ERRNO_NOTEMPTY
    parent.contents.delete(name)
    parent.quota.foldersLeft += 1
    return wasi.ERRNO_SUCCESS
  }

  /** Moves an entry to a path below another open folder. */
  rename(from: string, target: OpenMemoryDirectory, to: string): number {
    const source = this.dir.locate(from)
    if (typeof source === 'number') return source
    const { entry } = source
    if (entry === undefined) return wasi.ERRNO_NOENT
    if (source.parent.quota === undefined) return wasi.ERRNO_ROFS
    const destination = target.dir.locate(to)
    if (typeof destination === 'number') return destination
    if (destination.parent.quota === undefined) return wasi.ERRNO_ROFS
    if (destination.parent.quota !== source.parent.quota) return wasi.ERRNO_XDEV
    const { entry: replaced } = destination
    if (replaced === entry) return wasi.ERRNO_SUCCESS
    if (entry instanceof MemoryDirectory && holds(entry, destination.parent)) return wasi.ERRNO_INVAL
    if (replaced instanceof MemoryDirectory) {
      if (!(entry instanceof MemoryDirectory)) return wasi.ERRNO_ISDIR
      if (replaced.contents.size > 0) return wasi.ERRNO_NOTEMPTY
      source.parent.quota.foldersLeft += 1
    } else if (replaced instanceof MemoryFile) {
      if (!(entry instanceof MemoryFile)) return wasi.ERRNO_NOTDIR
      replaced.count('names', -1)
    }
    source.parent.contents.delete(source.name)
    destination.parent.contents.set(destination.name, entry)
    return wasi.ERRNO_SUCCESS
  }
}

function holds(folder: MemoryDirectory, sought: MemoryDirectory): boolean {
  if (folder === sought) return true
  for (const entry of folder.contents.values())
    if (entry instanceof MemoryDirectory && holds(entry, sought)) return true
  return false
}

/** A folder the program finds open when it starts. */
export class PreopenMemoryDirectory extends OpenMemoryDirectory {
  readonly #name: string

  constructor(name: string, dir: MemoryDirectory) {
    super(dir)
    this.#name = name
  }

  override fd_prestat_get() {
    return { ret: wasi.ERRNO_SUCCESS, prestat: wasi.Prestat.dir(this.#name) }
  }
}

/** Puts an input file at a path, making folders on the way. */
export function placeFile(root: MemoryDirectory, path: string, bytes: Uint8Array): void {
  const parts = path.split('/')
  const name = parts.pop() ?? ''
  let folder = root
  for (const part of parts) {
    const next = folder.contents.get(part) ?? new MemoryDirectory()
    if (!(next instanceof MemoryDirectory)) throw new Error('an input is both a file and a folder')
    folder.contents.set(part, next)
    folder = next
  }
  folder.contents.set(name, new MemoryFile(bytes))
}

/** Every file of a tree with its path, folders first to last in order of name. */
export function* listFiles(
  folder: MemoryDirectory,
  prefix = '',
): Generator<{ readonly path: string; readonly content: Uint8Array }> {
  const entries = [...folder.contents].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [name, entry] of entries) {
    if (entry instanceof MemoryFile) yield { path: prefix + name, content: entry.content }
    else if (entry instanceof MemoryDirectory) yield* listFiles(entry, `${prefix}${name}/`)
  }
}

/** The file at a path like those of {@link listFiles}. */
export function findFile(folder: MemoryDirectory, path: string): MemoryFile | undefined {
  const names = path.split('/')
  const last = names.pop() ?? ''
  let current = folder
  for (const name of names) {
    const entry = current.contents.get(name)
    if (!(entry instanceof MemoryDirectory)) return undefined
    current = entry
  }
  const entry = current.contents.get(last)
  return entry instanceof MemoryFile ? entry : undefined
}
