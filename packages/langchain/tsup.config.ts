import { defineConfig } from 'tsup'

// Both module systems; what is ours is in the files, since a CommonJS program could not require it. LangChain and zod stay outside:
// two copies of them do not know each other's classes.
export default defineConfig({
  entry: {
    index: 'src/index.ts',
    'middleware/index': 'src/middleware/index.ts',
    'wallet/index': 'src/wallet/index.ts',
  },
  format: ['esm', 'cjs'],
  platform: 'neutral',
  target: 'es2022',
  // What the SDK has for chains is not reached from here; a test looks that none of it is in the files.
  external: [/^@langchain\//, 'langchain', /^zod/, /^viem/, 'age-encryption'],
  noExternal: [/^@lilypad-agents\//, /^@noble\//, /^@scure\//],
  esbuildOptions(options) {
    options.conditions = ['source', 'module', 'import']
    options.mainFields = ['module', 'main']
  },
  clean: false,
  dts: false,
  sourcemap: false,
  splitting: true,
  treeshake: false,
})
