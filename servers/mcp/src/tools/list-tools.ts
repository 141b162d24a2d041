import type { Tool as WireTool } from '@modelcontextprotocol/server'
import type { McpConfig } from '../config/config.ts'
import { toolList } from '../generated/tool-list.ts'
import { isSelected } from './tool-selection.ts'

/** The tools that a client is shown. Their schemas were written down when the server was built, so none of them is loaded for it. */
export function listTools({ signer, paidServers = [], selection = { isReadOnly: false } }: McpConfig): WireTool[] {
  const canSign = signer !== undefined
  return toolList
    .filter(
      ({ needsKey, ofPaidServers }) =>
        (canSign || !needsKey) && (!ofPaidServers || (canSign && paidServers.length > 0)),
    )
    .filter(({ tool }) => isSelected(tool.name, selection))
    .map(({ tool }) => tool)
    .filter(({ annotations }) => !selection.isReadOnly || annotations?.readOnlyHint)
    .map((tool) => (selection.toolsets?.includes('lean') ? withoutOutputSchema(tool) : tool))
}

function withoutOutputSchema({ outputSchema: _schema, ...tool }: WireTool): WireTool {
  return tool
}
