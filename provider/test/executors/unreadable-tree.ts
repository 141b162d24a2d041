// Run as a user who is not root: `node unreadable-tree.ts <folder>`. Prints what the collector says and what is left.
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { collectOutputs } from '../../src/outputs/collect-outputs.ts'
import { removeTree } from '../../src/outputs/remove-tree.ts'

const work = join(process.argv[2] ?? '', 'work')
const limits = { outputBytes: 1000, outputFiles: 10 }
const results: unknown[] = []
for (const kind of ['file', 'folder'] as const) {
  const [source, destination] = [join(work, kind, 'out'), join(work, kind, 'collected')]
  await mkdir(destination, { recursive: true })
  await mkdir(join(source, 'folder/inner'), { recursive: true })
  await writeFile(join(source, 'file'), 'x')
  await writeFile(join(source, 'folder/inner/file'), 'x')
  await chmod(join(source, kind), 0)
  results.push(await collectOutputs({ source, destination, limits }))
}
await removeTree(work)
results.push(await readdir(process.argv[2] ?? '').then((names) => names.filter((name) => name === 'work')))
console.log(JSON.stringify(results))
