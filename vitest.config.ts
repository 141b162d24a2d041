import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    passWithNoTests: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // They, too, publish a `source` condition, and Node does not strip types inside node_modules.
    server: {
      deps: {
        inline: [
          /@modelcontextprotocol/,
          /eventsource/,
          /@ai-sdk/,
          /@openai\/agents/,
          /node_modules\/(ai6?|openai-compatible-2)\//,
        ],
      },
    },
  },
})
