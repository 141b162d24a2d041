import { defineConfig } from 'tsup'

// Files without dependencies, so that clients that start it with npx wait for nothing else.
export default defineConfig({
  // The client of other servers is a file of its own: it is loaded only by who buys from them.
  entry: { 'lilypad-mcp': 'src/main.ts', 'mcp-client': 'src/x402/buy/mcp-client.ts' },
  outDir: 'dist',
  format: 'esm',
  platform: 'node',
  target: 'node22',
  noExternal: [/.*/],
  esbuildPlugins: [
    {
      name: 'late-client',
      setup(build) {
        build.onResolve({ filter: /\/mcp-client\.ts$/ }, ({ kind }) =>
          kind === 'entry-point' ? undefined : { path: './mcp-client.js', external: true },
        )
      },
    },
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
  ],
  esbuildOptions(options) {
    options.conditions = ['source', ...(options.conditions ?? [])]
  },
  banner: {
    js: "#!/usr/bin/env node\nimport { createRequire as createRequireOfBundle } from 'node:module'\nconst require = createRequireOfBundle(import.meta.url)",
  },
  minify: true,
  removeNodeProtocol: false,
  clean: false,
  dts: false,
  sourcemap: false,
  splitting: false,
})
