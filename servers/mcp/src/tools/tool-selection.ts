import { z } from 'zod'
import { toolList } from '../generated/tool-list.ts'

/** Groups of tools. `lean` is every tool, without the schemas of what they answer: a third of the tokens. */
export const toolsets = ['all', 'lean', 'modules', 'jobs', 'outputs', 'wallet', 'paid'] as const
export const Toolset = z.enum(toolsets)
type Toolset = z.output<typeof Toolset>

/** Names of the tools, in their order. */
export const toolNames = toolList.map(({ tool }) => tool.name)

/** Name of a tool, with or without the prefix that all of them have. */
export const ToolName = z.string().transform((text, context) => {
  const name = text.startsWith('lilypad_') ? text : `lilypad_${text}`
  if (toolNames.includes(name)) return name
  context.addIssue({ code: 'custom', message: `expected names among: ${toolNames.join(', ')}` })
  return z.NEVER
})

/** Which tools the user of the server wants. */
export type ToolSelection = {
  /** No tool that changes anything: wins over everything else. */
  readonly isReadOnly: boolean
  readonly toolsets?: readonly Toolset[]
  /** Names; alone, only these, and with toolsets, these of them. */
  readonly tools?: readonly string[]
}

const members: { readonly [toolset in Exclude<Toolset, 'lean'>]: (name: string) => boolean } = {
  all: () => true,
  modules: (name) => /_(search_modules|get_module)$/.test(name),
  jobs: (name) => /_(quote|run|get|cancel|list)_jobs?$/.test(name),
  outputs: (name) => /_(get_outputs|save_outputs|verify_job)$/.test(name),
  wallet: (name) => /_get_wallet$/.test(name),
  paid: (name) => /_paid_tools?$/.test(name),
}

/** Whether a tool was asked for, by its name and its group. */
export function isSelected(name: string, { toolsets = [], tools }: ToolSelection): boolean {
  const groups = toolsets.filter((toolset) => toolset !== 'lean')
  const isInGroup = groups.length === 0 || groups.some((group) => members[group](name))
  return isInGroup && (tools?.includes(name) ?? true)
}
