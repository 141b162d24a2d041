import { mergeConfig } from 'vitest/config'
import common from '../../vitest.config.ts'

// A package under the MCP client also has a `source` condition, of TypeScript that Node does not load from node_modules.
export default mergeConfig(common, {
  test: { server: { deps: { inline: ['@modelcontextprotocol/client', 'eventsource'] } } },
})
