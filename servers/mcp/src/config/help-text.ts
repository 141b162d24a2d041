import { httpSettings } from './http-settings.ts'
import { settings } from './settings.ts'
import { tokenFlags } from './token-command.ts'

/** The text of `--help`. */
export function helpText(): string {
  const rows = (
    of: Readonly<Record<string, { readonly env: string; readonly value: string; readonly help: string }>>,
  ) =>
    Object.entries(of)
      .map(
        ([name, { env, value, help }]) =>
          `  --${(value ? `${name} <${value}>` : name).padEnd(32)} ${help}\n  ${''.padEnd(34)} ${env}`,
      )
      .join('\n')
  return `lilypad-mcp: an MCP server that finds, buys and verifies compute on a Lilypad network

Usage
  lilypad-mcp [stdio] [settings]     speak MCP on stdin and stdout
  lilypad-mcp http [settings]        serve http://<host>:<port>/mcp
  lilypad-mcp sell [settings]        sell modules to strangers as paid tools (x402) at http://127.0.0.1:<port>/mcp
  lilypad-mcp token add <name>       print a new token for \`http --auth token\`, once; only its hash is kept
  lilypad-mcp token list             names, limits and ends of the tokens
  lilypad-mcp token revoke <name>    its bearer is refused from now on
  lilypad-mcp approve [quote_id]     approve or decline an order in this terminal; without an id, what waits
  lilypad-mcp ledger [--json]        what was spent, by job
  lilypad-mcp resume                 let spending go on after it was stopped
  lilypad-mcp doctor [--json]        check settings, network, contracts, key, grant and state folder

Settings (a flag wins over its variable)
${rows(settings)}
  --help, --version

Settings of http
${rows(httpSettings)}

Flags of token add, besides --max-per-job, --max-per-day and --max-total, which bound this token
${Object.entries(tokenFlags)
  .map(([name, { type, help }]) => `  --${`${name}${type === 'string' ? ' <value>' : ''}`.padEnd(32)} ${help}`)
  .join('\n')}
`
}
