import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { defineConfig } from 'tsup'
import { codecFiles } from './src/outputs/read-codec.ts'
import { pastIndexes } from './past-indexes.ts'

const resolveHere = createRequire(import.meta.url).resolve
const zodLocales = resolveHere('zod/v4/locales/index.js')

// A few files without dependencies, so that clients that start it with npx wait for nothing else. What only a call needs is in files
// that are read at the first call.
export default defineConfig({
  entry: { 'lilypad-mcp': 'src/bin.ts' },
  outDir: 'dist/bundle',
  format: 'esm',
  platform: 'node',
  target: 'node22',
  noExternal: [/.*/],
  esbuildPlugins: [
    {
      // The codecs of pictures are files of their packages; what is published holds them.
      name: 'codecs-inside',
      setup(build) {
        build.onLoad({ filter: /[\\/]outputs[\\/]read-codec\.ts$/ }, ({ path }) => ({
          contents: [
            ...Object.entries(codecFiles).map(
              ([name, file]) => `import ${name} from ${JSON.stringify(resolveHere(file))}`,
            ),
            `const codecs = { ${Object.keys(codecFiles).join(', ')} }`,
            'export const readCodec = async (codec) => codecs[codec]',
          ].join('\n'),
          resolveDir: dirname(path),
        }))
      },
    },
    pastIndexes(),
    {
      // A static import of Node's HTTP modules loads them at the start; as a required module they wait for their first use.
      name: 'late-http',
      setup(build) {
        build.onResolve({ filter: /^(node:)?https?2?$/ }, ({ path }) => ({
          path: path.replace(/^node:/, ''),
          namespace: 'late-http',
        }))
        build.onLoad({ filter: /.*/, namespace: 'late-http' }, ({ path }) => ({
          contents: `module.exports = process.getBuiltinModule('${path}')`,
        }))
      },
    },
    {
      // zod's namespace holds on to its messages in 50 languages, a quarter of a megabyte that is read at every start.
      name: 'one-language',
      setup(build) {
        build.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
          contents: "export { default as en } from './en.js'",
          resolveDir: dirname(zodLocales),
        }))
      },
    },
  ],
  // Read by nobody but the module above, and part of the file that holds it.
  loader: { '.wasm': 'binary' },
  esbuildOptions(options) {
    options.conditions = ['source', ...(options.conditions ?? [])]
    options.chunkNames = 'parts/[name]-[hash]'
  },
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module'\nconst require = createRequireOfBundle(import.meta.url)",
  },
  minify: true,
  removeNodeProtocol: false,
  clean: true,
  dts: false,
  sourcemap: false,
  splitting: true,
})
