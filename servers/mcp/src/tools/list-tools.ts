import type { Tool as WireTool } from '@modelcontextprotocol/server'
import type { McpConfig } from '../config/config.ts'
import { toolList } from '../generated/tool-list.ts'
import { isSelected } from './tool-selection.ts'

/**
 * The tools that a client is shown. Their schemas were written down when the server was built, so none of them is loaded for it.
 * @param hasPaidServers whether tools of other servers can be paid
 */
export function listTools(
  { signer, selection = { isReadOnly: false } }: Pick<McpConfig, 'signer' | 'selection'>,
  hasPaidServers: boolean,
): WireTool[] {
  return toolList
    .filter(({ needsKey, ofPaidServers }) => (signer !== undefined || !needsKey) && (hasPaidServers || !ofPaidServers))
    .filter(({ tool }) => isSelected(tool.name, selection))
    .map(({ tool }) => tool)
    .filter(({ annotations }) => !selection.isReadOnly || annotations?.readOnlyHint)
    .map((tool) => (selection.toolsets?.includes('lean') ? withoutOutputSchema(tool) : tool))
}

function withoutOutputSchema({ outputSchema: _schema, ...tool }: WireTool): WireTool {
  return tool
}
