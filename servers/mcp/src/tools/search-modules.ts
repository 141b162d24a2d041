import { z } from 'zod'
import { Amount, currencyShape, tokenSymbol } from '../money/token.ts'
import { lowestOffer } from '../money/lowest-offer.ts'
import { count } from '../text/count.ts'
import { cleanLine } from '../text/clean-text.ts'
import { CursorError, readCursor, toCursor } from '../text/cursor.ts'
import { defineTool } from '../tool/define-tool.ts'
import { NextCalls, withNext } from '../tool/next-call.ts'

/** Finds modules by words. */
export const searchModules = defineTool({
  name: 'lilypad_search_modules',
  title: 'Search modules',
  description:
    'Find programs that can be run on the network, newest version each, with the lowest price asked now. Start here. Free.',
  input: z.strictObject({
    query: z.string().max(200).optional().describe('words; leave out to list all'),
    limit: z.int().min(1).max(25).default(8),
    cursor: z.string().max(400).optional().describe('next_cursor of the last answer'),
  }),
  output: z.object({
    summary: z.string(),
    modules: z.array(
      z.object({
        module: z.string(),
        version: z.string(),
        price_per_job: Amount.nullable().describe('null: nobody offers it now'),
        providers: z.int(),
        untrusted: z.object({ title: z.string(), summary: z.string() }),
      }),
    ),
    next_cursor: z.string().nullable(),
    ...currencyShape,
    next: NextCalls,
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  example: { query: 'speech', limit: 8 },
  async handle({ query, limit, cursor }, { lilypad }) {
    const { network } = lilypad
    const { modules, nextCursor } = await lilypad.searchModules({
      limit,
      ...(query ? { query } : {}),
      ...(cursor ? { cursor: readPlace(cursor) } : {}),
    })
    const found = modules.slice(0, limit).map((listing) => ({
      module: listing.name,
      version: cleanLine(listing.manifest.version, 64),
      price_per_job: lowestOffer(listing, network.contracts.lilyToken)?.price_per_job ?? null,
      providers: listing.offers.length,
      untrusted: { title: cleanLine(listing.manifest.title, 120), summary: cleanLine(listing.manifest.summary, 200) },
    }))
    // The solver's own cursor is any text it likes, so it travels where nobody reads it.
    const next_cursor = nextCursor === null ? undefined : toCursor([nextCursor])
    const more = next_cursor ? ' There are more: pass next_cursor as cursor.' : ''
    const next =
      found.length > 0 ? 'Read one with lilypad_get_module before quoting.' : 'Try other words, or none to list all.'
    return {
      result: {
        summary: `${count(found.length, 'module')} found. ${next}${more}`,
        modules: found,
        next_cursor: next_cursor ?? null,
        token: tokenSymbol,
        chain_id: network.chainId,
        ...withNext(found[0] && { tool: 'lilypad_get_module', args: { module: found[0].module } }),
      },
    }
  },
})

/** @throws {@link CursorError} */
function readPlace(cursor: string): string {
  const [place] = readCursor(cursor)
  if (typeof place !== 'string') throw new CursorError()
  return place
}
