// Every form in which the MCP server is installed, from one place: its package.json and what stands here.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { renderTable } from './render-table.mjs'

const root = dirname(import.meta.dirname)
const read = (path) => readFileSync(join(root, path), 'utf8')
const { name, version, description, license, mcpName, engines } = JSON.parse(read('servers/mcp/package.json'))

const repository = 'https://github.com/lilypad-agents/lilypad'
const image = `ghcr.io/lilypad-agents/mcp:${version}`
const title = 'Lilypad'
const tagline = 'Find, buy and verify compute on a Lilypad network, within limits only the owner can change.'
const command = { command: 'npx', args: ['-y', name] }

/** What a client asks its user for; the names are those of the variables. */
const settings = [
  {
    key: 'network_file',
    env: 'LILYPAD_NETWORK_FILE',
    title: 'Network file',
    description: 'Where the network is: network.json, as `lilypad up` or its operator wrote it.',
    format: 'filepath',
    isRequired: true,
  },
  {
    key: 'key_file',
    env: 'LILYPAD_KEY_FILE',
    title: 'Key file',
    description: 'Private key that signs orders. Leave it out to read only.',
    format: 'filepath',
  },
  {
    key: 'grant_file',
    env: 'LILYPAD_GRANT_FILE',
    title: 'Grant file',
    description: 'Signed grant, if the key is a session key of another payer.',
    format: 'filepath',
  },
  {
    key: 'max_per_job',
    env: 'LILYPAD_MAX_PER_JOB',
    title: 'Most one job may cost (LILY)',
    description: 'LILY. 1 when left out.',
    format: 'string',
  },
  {
    key: 'max_per_day',
    env: 'LILYPAD_MAX_PER_DAY',
    title: 'Most in any 24 hours (LILY)',
    description: 'LILY. 10 when left out.',
    format: 'string',
  },
  {
    key: 'output_dir',
    env: 'LILYPAD_OUTPUT_DIR',
    title: 'Output folder',
    description: 'Folder into which outputs are saved.',
    format: 'filepath',
    isFolder: true,
  },
  {
    key: 'state_dir',
    env: 'LILYPAD_STATE_DIR',
    title: 'State folder',
    description: 'Jobs, files and the spending ledger.',
    format: 'filepath',
    isFolder: true,
    fallback: `\${HOME}/.lilypad/mcp`,
  },
]
const toJson = (value) => `${JSON.stringify(value, null, 2)}\n`

/** The package that npm gets: the bundle and nothing to install beside it. */
export const npmPackage = () =>
  toJson({
    name,
    version,
    description,
    license,
    mcpName,
    repository: { type: 'git', url: `git+${repository}.git`, directory: 'servers/mcp' },
    type: 'module',
    bin: { 'lilypad-mcp': 'lilypad-mcp.js' },
    files: ['lilypad-mcp.js', 'parts'],
    engines,
    publishConfig: { access: 'public' },
  })

/** The bundle's manifest for Claude Desktop and other hosts of MCPB. */
export function mcpbManifest(tools) {
  const entry = 'server/lilypad-mcp.js'
  return toJson({
    manifest_version: '0.3',
    name: 'lilypad-mcp',
    display_name: title,
    version,
    description: tagline,
    author: { name: 'Lilypad', url: repository },
    repository: { type: 'git', url: `${repository}.git` },
    license,
    privacy_policies: [`${repository}/blob/main/servers/mcp/README.md#privacy`],
    server: {
      type: 'node',
      entry_point: entry,
      mcp_config: {
        command: 'node',
        args: [`\${__dirname}/${entry}`],
        env: Object.fromEntries(settings.map(({ key, env }) => [env, `\${user_config.${key}}`])),
      },
    },
    tools: tools.map(({ name, title }) => ({ name, description: title })),
    compatibility: { runtimes: { node: engines.node } },
    user_config: Object.fromEntries(
      settings.map(({ key, title, description, format, isFolder, isRequired = false, fallback }) => [
        key,
        {
          type: format === 'filepath' ? (isFolder ? 'directory' : 'file') : 'string',
          title,
          description,
          required: isRequired,
          ...(fallback ? { default: fallback } : {}),
        },
      ]),
    ),
  })
}

/** The entry of the MCP registry. */
function registryEntry() {
  const environmentVariables = settings.map(({ env, description, format, isRequired = false }) => ({
    name: env,
    description,
    format,
    isRequired,
    isSecret: false,
  }))
  return toJson({
    $schema: 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json',
    name: mcpName,
    title,
    description: tagline,
    repository: { url: repository, source: 'github', subfolder: 'servers/mcp' },
    version,
    packages: [
      {
        registryType: 'npm',
        identifier: name,
        version,
        runtimeHint: 'npx',
        transport: { type: 'stdio' },
        environmentVariables,
      },
      {
        registryType: 'oci',
        identifier: image,
        runtimeHint: 'docker',
        transport: { type: 'stdio' },
        runtimeArguments: [
          {
            type: 'named',
            name: '--mount',
            description: 'Folder with network.json and, to buy jobs, the key and the grant; jobs are kept in it',
            value: 'type=bind,src={folder},dst=/lilypad',
            variables: { folder: { description: 'Folder on this machine', format: 'filepath', isRequired: true } },
          },
        ],
      },
    ],
  })
}

const plugin = {
  name: 'lilypad',
  version,
  description: tagline,
  author: { name: 'Lilypad' },
  repository,
  license,
}
const serverOf = (env) => ({ mcpServers: { lilypad: { ...command, env } } })
const fromEnvironment = Object.fromEntries(settings.map(({ env }) => [env, `\${${env}:-}`]))

const claudePlugin = () => toJson({ ...plugin, skills: './skills/', ...serverOf(fromEnvironment) })
const claudeMarketplace = () =>
  toJson({
    name: 'lilypad',
    owner: { name: 'Lilypad' },
    plugins: [{ name: 'lilypad', source: './servers/mcp', description: tagline, version }],
  })

const geminiExtension = () =>
  toJson({
    name: 'lilypad',
    version,
    description: tagline,
    ...serverOf(Object.fromEntries(settings.map(({ env }) => [env, `$${env}`]))),
  })

/** Runs the published package; `docker build servers/mcp`. */
const dockerfile = () =>
  [
    '# Generated by tools/generate-docs.mjs; not edited by hand. Built from what `npm run build` leaves in dist/npm.',
    'ARG NODE=node:24-slim',
    `FROM \${NODE}`,
    `LABEL io.modelcontextprotocol.server.name="${mcpName}" \\`,
    `      org.opencontainers.image.source="${repository}" \\`,
    `      org.opencontainers.image.version="${version}" \\`,
    `      org.opencontainers.image.licenses="${license}"`,
    'COPY dist/npm /opt/lilypad-mcp',
    'ENV LILYPAD_NETWORK_FILE=/lilypad/network.json \\',
    '    LILYPAD_STATE_DIR=/lilypad/mcp \\',
    '    NODE_DISABLE_COMPILE_CACHE=1',
    'VOLUME /lilypad',
    'USER 1000:1000',
    'ENTRYPOINT ["node", "/opt/lilypad-mcp/lilypad-mcp.js"]',
    '',
  ].join('\n')

/** The part of the README that tells each client's way in one line. */
function installSection() {
  const server = { name: 'lilypad', ...command }
  const base64 = Buffer.from(JSON.stringify(command)).toString('base64')
  const cursor = `https://cursor.com/en/install-mcp?name=lilypad&config=${encodeURIComponent(base64)}`
  const vscode = `https://insiders.vscode.dev/redirect/mcp/install?name=lilypad&config=${encodeURIComponent(JSON.stringify(command))}`
  return renderTable([
    ['client', 'how'],
    ['any, over stdio', `\`npx -y ${name}\``],
    ['Claude Code', `\`claude mcp add lilypad -- npx -y ${name}\``],
    [
      'Claude Code, plugin',
      '`/plugin marketplace add lilypad-agents/lilypad`, then `/plugin install lilypad@lilypad`: server and skills',
    ],
    [
      'Claude Desktop',
      'open `lilypad.mcpb`: `npx -y @anthropic-ai/mcpb@2.1.2 pack servers/mcp/dist/mcpb lilypad.mcpb` after a build',
    ],
    ['Cursor', `[add to Cursor](${cursor})`],
    ['VS Code', `[add to VS Code](${vscode}), or \`code --add-mcp '${JSON.stringify(server)}'\``],
    ['Gemini CLI', `\`gemini extensions install ${repository}\``],
    ['Docker', `\`docker run -i --rm -v "$HOME/.lilypad:/lilypad" ${image}\``],
    ['registry', `\`${mcpName}\` (\`server.json\`)`],
  ]).join('\n')
}

const begin = '<!-- install: generated by tools/generate-docs.mjs -->'
const end = '<!-- /install -->'
function readme() {
  const text = read('servers/mcp/README.md')
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new TypeError(`servers/mcp/README.md lacks ${begin} … ${end}`)
  return `${text.slice(0, from + begin.length)}\n\n${installSection()}\n\n${text.slice(to)}`
}

/** What is committed of it, by path. */
export const committedFiles = () => [
  { path: 'servers/mcp/server.json', text: registryEntry() },
  { path: 'servers/mcp/.claude-plugin/plugin.json', text: claudePlugin() },
  { path: '.claude-plugin/marketplace.json', text: claudeMarketplace() },
  { path: 'gemini-extension.json', text: geminiExtension() },
  { path: 'servers/mcp/Dockerfile', text: dockerfile() },
  { path: 'servers/mcp/README.md', text: readme() },
]
