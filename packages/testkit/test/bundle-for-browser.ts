import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

type Bundler = {
  build(options: object): Promise<{
    readonly outputFiles: readonly { readonly text: string }[]
    readonly metafile: {
      readonly inputs: Readonly<Record<string, unknown>>
      readonly outputs: Readonly<Record<string, { readonly imports: readonly { readonly path: string }[] }>>
    }
  }>
}

// The bundler that the packages are built with; it comes with tsup.
const { build } = createRequire(createRequire(import.meta.url).resolve('tsup'))('esbuild') as Bundler

/** A browser script as one ES module: its text, the files in it, and the names of what it imports from outside. */
export async function bundleForBrowser(
  source: string,
): Promise<{ readonly code: string; readonly inputs: readonly string[]; readonly outside: readonly string[] }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: source, resolveDir: fileURLToPath(new URL('.', import.meta.url)), loader: 'ts' },
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions: ['source'],
    external: ['node:*'],
    logLevel: 'silent',
  })
  const outside = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path))
  return { code: outputFiles[0]?.text ?? '', inputs: Object.keys(metafile.inputs), outside }
}
