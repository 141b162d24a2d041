import type { McpConfig } from '../config/config.ts'

/**
 * A command of this program on the server's own state folder, for the shell of a person. It names the program as it was started, because what
 * runs it with npx, or from a clone, leaves no `lilypad-mcp` that a terminal would find.
 */
export function ownCommand(
  {
    stateDirectory,
    networkFile,
    launch = ['lilypad-mcp'],
  }: Pick<McpConfig, 'stateDirectory' | 'networkFile' | 'launch'>,
  ...words: readonly string[]
): string {
  const network = networkFile === undefined ? [] : ['--network', networkFile]
  return [...launch, ...words, '--state-dir', stateDirectory, ...network].map(shellQuote).join(' ')
}

const shellQuote = (text: string) => (/^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
