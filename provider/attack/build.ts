// Builds attack.c for every architecture that has a profile and writes src/preflight/attack-programs.ts.
// test/attack/attack-programs.test.ts compares what is committed with what the compilers of its machine make.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'

const source = join(import.meta.dirname, 'attack.c')
const target = join(import.meta.dirname, '../src/preflight/attack-programs.ts')

/** Compilers by the engine's name of the architecture, with the flags that only they take. */
const compilers: Readonly<Record<string, readonly [command: string, flag: string]>> = {
  x86_64: ['x86_64-linux-gnu-gcc', '-fcf-protection=none'],
  aarch64: ['aarch64-linux-gnu-gcc', '-mno-outline-atomics'],
}
// Nothing that depends on the day, the folder or the machine gets into the file.
const flags = [
  ...[
    '-std=gnu11',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-Os',
    '-static',
    '-nostdlib',
    '-ffreestanding',
    '-fno-pie',
    '-no-pie',
  ],
  ...[
    '-fno-stack-protector',
    '-fno-asynchronous-unwind-tables',
    '-fno-ident',
    '-fno-tree-loop-distribute-patterns',
    '-s',
  ],
  ...['-Wl,--build-id=none', '-Wl,-z,noseparate-code', '-Wl,-z,max-page-size=4096'],
]

export const architectures = Object.keys(compilers)

function commandOf(architecture: string): readonly [command: string, flag: string] {
  const command = compilers[architecture]
  if (command === undefined) throw new Error(`no compiler is named for ${architecture}`)
  return command
}

/** First line of `--version`, or undefined when the compiler is not here. Only the same compiler makes the same bytes. */
export function findCompiler(architecture: string): string | undefined {
  try {
    return execFileSync(commandOf(architecture)[0], ['--version'], { encoding: 'utf8', stdio: 'pipe' }).split('\n')[0]
  } catch {
    return undefined
  }
}

/** The program for one architecture. */
export function buildAttack(architecture: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'lilypad-attack-'))
  try {
    const [compiler, ...own] = commandOf(architecture)
    const output = join(folder, 'attack')
    execFileSync(compiler, [...flags, ...own, '-o', output, source], { stdio: 'pipe' })
    return readFileSync(output)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** SHA-256 of the source as it is now. */
export const sourceDigest = () => `0x${createHash('sha256').update(readFileSync(source)).digest('hex')}`

function render() {
  const programs = architectures.map((architecture) => {
    const program = buildAttack(architecture)
    return [
      `  ${architecture}: {`,
      `    sha256: '0x${createHash('sha256').update(program).digest('hex')}',`,
      `    compiler: '${findCompiler(architecture)}',`,
      `    deflated:`,
      `      '${deflateRawSync(program, { level: 9 }).toString('base64')}',`,
      `  },`,
    ].join('\n')
  })
  return [
    '// Generated from attack/attack.c by attack/build.ts; not edited by hand.',
    '/** SHA-256 of the source that the programs were built from. */',
    `export const attackSourceDigest = '${sourceDigest()}'`,
    '',
    "/** The attack program by the engine's name of the architecture: raw deflate in base64. */",
    'export const attackPrograms = {',
    ...programs,
    '} as const',
    '',
  ].join('\n')
}

if (process.argv[1] === import.meta.filename) {
  const missing = architectures.filter((architecture) => findCompiler(architecture) === undefined)
  if (missing.length > 0) throw new Error(`no compiler for ${missing.join(' and ')}`)
  writeFileSync(target, render())
}
