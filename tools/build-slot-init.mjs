// Compiles provider/init/slot-init.c for both architectures and writes the bytes that the provider carries.
// `--check` writes nothing; it exits with 1 when the committed bytes are stale, and with 3 where this machine has other
// compilers than the ones that made them, so that nothing can be said.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
const source = 'provider/init/slot-init.c'
const target = join(root, 'provider/src/executors/docker/generated/slot-init.ts')
const compilers = { x86_64: 'x86_64-linux-gnu-gcc', aarch64: 'aarch64-linux-gnu-gcc' }
const flags = [
  ...['-std=c11', '-Wall', '-Wextra', '-Werror', '-Os', '-static', '-nostdlib', '-nostartfiles', '-ffreestanding'],
  ...['-fno-stack-protector', '-fno-pie', '-no-pie', '-fno-asynchronous-unwind-tables', '-fno-unwind-tables'],
  // The compiler must not put in calls to memcpy or memset: there is no library.
  ...['-fno-tree-loop-distribute-patterns', '-fno-ident', '-s'],
  ...['-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,-z,norelro', '-Wl,-z,noseparate-code'],
]

function compile(architecture, folder) {
  const compiler = compilers[architecture]
  const file = join(folder, architecture)
  // Relative paths only, so that no path of this machine can get into the bytes.
  execFileSync(compiler, [...flags, '-o', file, source], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  const bytes = readFileSync(file)
  const version = execFileSync(compiler, ['-dumpfullversion'], { encoding: 'utf8' }).trim()
  return { bytes, compiler: `${compiler} ${version}` }
}

function render(programs) {
  const entries = Object.entries(programs).flatMap(([architecture, { bytes, compiler }]) => [
    `  ${architecture}: {`,
    `    compiler: '${compiler}',`,
    `    sha256: '${createHash('sha256').update(bytes).digest('hex')}',`,
    '    base64: `',
    ...bytes.toString('base64').match(/.{1,116}/g),
    '`,',
    '  },',
  ])
  return [
    `// Generated from ${source} by tools/build-slot-init.mjs; not edited by hand.`,
    '',
    '/** The first process of a slot, by architecture: a static program without a library. */',
    'export const slotInitPrograms = {',
    ...entries,
    '} as const',
    '',
  ].join('\n')
}

const isCheck = process.argv.includes('--check')
const folder = mkdtempSync(join(tmpdir(), 'lilypad-slot-init-'))
try {
  const programs = Object.fromEntries(Object.keys(compilers).map((name) => [name, compile(name, folder)]))
  const text = render(programs)
  if (isCheck) {
    const committed = readFileSync(target, 'utf8')
    const isComparable = Object.values(programs).every(({ compiler }) => committed.includes(`'${compiler}'`))
    if (!isComparable) console.error('the committed bytes were made by other compilers than those of this machine')
    else if (committed !== text) console.error('stale: run `node tools/build-slot-init.mjs`')
    process.exitCode = !isComparable ? 3 : committed === text ? 0 : 1
  } else {
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, text)
  }
} catch (error) {
  if (!isCheck || error.code !== 'ENOENT') throw error
  console.error(`there is no ${error.path}`)
  process.exitCode = 3
} finally {
  rmSync(folder, { recursive: true, force: true })
}
