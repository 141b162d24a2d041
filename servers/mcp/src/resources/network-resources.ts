import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/server'
import { jobPage } from '../generated/embedded-files.ts'
import { lowestOffer } from '../money/lowest-offer.ts'
import { enforcedPolicy } from '../config/policy.ts'
import { tellLimits } from '../money/limits.ts'
import { formatAmount, tokenSymbol } from '../money/token.ts'
import { chargedOf } from '../job/job-result.ts'
import { cleanJson, cleanText } from '../text/clean-text.ts'
import type { ServerDeps } from '../tool/tool-context.ts'
import { ModuleReference } from '../tools/module-reference.ts'
import { jobPageMediaType, jobPageUri } from '../ui/job-page.ts'
import { errorsText, policyText, verificationText } from './docs.ts'
import { aDay, aMinute, decodePart, jsonContents, live, readOrNotFound } from './read-resource.ts'

const suggestions = 20
const hour = { ttlMs: 3_600_000, cacheScope: 'private' as const }

/** Registers modules, network, ledger, the pages of documentation, and the page of a job. */
export function registerNetworkResources(mcp: McpServer, deps: ServerDeps): void {
  const { lilypad, logger, config } = deps
  const { network } = lilypad
  const suggestModules = async (value: string) => {
    const { modules } = await lilypad.searchModules(
      value ? { query: value, limit: suggestions } : { limit: suggestions },
    )
    return modules.map(({ name }) => name).filter((name) => name.includes(value.toLowerCase()))
  }
  const modules = new ResourceTemplate('lilypad://modules/{id}', {
    list: undefined,
    complete: { id: (value) => suggestModules(value).catch(() => []) },
  })
  mcp.registerResource(
    'module',
    modules,
    {
      title: 'Module',
      description: 'The whole manifest of a module: schema of inputs, outputs, limits, description.',
      mimeType: 'application/json',
    },
    (address, variables) =>
      readOrNotFound(address.href, logger, async () => {
        const id = ModuleReference.safeParse(decodePart(variables.id))
        if (!id.success) return undefined
        const listing = await lilypad.getModule(id.data)
        const facts = {
          module: listing.name,
          version_id: listing.moduleVersion,
          manifest_digest: listing.manifestDigest,
          author: listing.author,
          deprecated: listing.deprecated,
          price: lowestOffer(listing, network.contracts.lilyToken) ?? null,
          token: tokenSymbol,
          chain_id: network.chainId,
          untrusted: {
            description: cleanText(listing.manifest.description, 20_000),
            manifest: cleanJson({ ...listing.manifest, description: undefined }, { text: 2000, items: 200 }, 10),
          },
        }
        return jsonContents(address.href, facts, aMinute)
      }),
  )
  mcp.registerResource(
    'network',
    'lilypad://network',
    {
      title: 'Network',
      description: 'Chain, contracts and solver that this server uses.',
      mimeType: 'application/json',
    },
    async ({ href }) =>
      jsonContents(
        href,
        {
          name: network.name,
          chain_id: network.chainId,
          token: tokenSymbol,
          solver: new URL(network.solverUrl).origin,
          contracts: network.contracts,
        },
        hour,
      ),
  )
  mcp.registerResource(
    'ledger',
    'lilypad://ledger',
    { title: 'Ledger', description: 'What was spent here, per module, and the limits.', mimeType: 'application/json' },
    async ({ href }) => {
      const jobs = await lilypad.listJobs()
      const spent = new Map<string, bigint>()
      for (const job of jobs) spent.set(job.module.name, (spent.get(job.module.name) ?? 0n) + chargedOf(job))
      const limits = tellLimits(enforcedPolicy(config))
      const byModule = Object.fromEntries([...spent].map(([module, amount]) => [module, formatAmount(amount)]))
      const all = formatAmount([...spent.values()].reduce((sum, amount) => sum + amount, 0n))
      return jsonContents(
        href,
        { jobs: jobs.length, spent: all, by_module: byModule, limits, token: tokenSymbol, chain_id: network.chainId },
        live,
      )
    },
  )
  const docs = [
    ['errors', 'Errors', 'Every error code and what to do about it.', errorsText],
    ['policy', 'Policy', 'What this server may spend, and who can change that.', () => policyText(config)],
    ['verification', 'Verification', 'What is checked of a result, and what is not.', verificationText],
  ] as const
  for (const [name, title, description, text] of docs) {
    mcp.registerResource(
      `docs-${name}`,
      `lilypad://docs/${name}`,
      { title, description, mimeType: 'text/markdown', cacheHint: hour },
      async ({ href }) => ({ contents: [{ uri: href, mimeType: 'text/markdown', text: text() }] }),
    )
  }
  mcp.registerResource(
    'job-page',
    jobPageUri,
    {
      title: 'Job',
      description: 'Page that shows a job in hosts that show apps.',
      mimeType: jobPageMediaType,
      cacheHint: aDay,
    },
    async ({ href }) => ({
      contents: [
        {
          uri: href,
          mimeType: jobPageMediaType,
          text: jobPage,
          // Nothing is loaded from anywhere.
          _meta: { ui: { csp: { connectDomains: [], resourceDomains: [] }, prefersBorder: true } },
        },
      ],
    }),
  )
}
