// A file of its own in the bundle, so that only a server that buys from others loads it.
export { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
