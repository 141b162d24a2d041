import { createSigner } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { countTokens } from '../../test/tokens.ts'
import { toolList } from '../generated/tool-list.ts'
import type { Tool } from '../tool/define-tool.ts'
import { paidTools, tools } from './index.ts'
import { listTools } from './list-tools.ts'
import type { ToolSelection } from './tool-selection.ts'

const signer = createSigner(`0x${'42'.repeat(32)}`)
const list = (selection: Partial<ToolSelection>) =>
  listTools({ signer, selection: { isReadOnly: false, ...selection } }, false)
const names = (selection: Partial<ToolSelection>) => list(selection).map(({ name }) => name.replace('lilypad_', ''))
const all = tools.map(({ name }) => name.replace('lilypad_', ''))

test('what is listed is what the tools say of themselves', () => {
  const listed = (ofPaidServers: boolean) => (tool: Tool) => ({
    needsKey: tool.needsKey,
    ofPaidServers,
    tool: tool.describe(),
  })
  expect(toolList).toEqual([...tools.map(listed(false)), ...paidTools.map(listed(true))])
})

test('S1: the lean list is every tool in at most 2,000 tokens', () => {
  const lean = list({ toolsets: ['lean'] })
  expect(lean.map(({ name }) => name)).toEqual(list({}).map(({ name }) => name))
  expect(countTokens(lean)).toBeLessThanOrEqual(2000)
})

test('every tool is in a group', () =>
  expect(new Set(names({ toolsets: ['modules', 'jobs', 'outputs', 'wallet'] }))).toEqual(new Set(all)))

test.each<[string, Partial<ToolSelection>, readonly string[]]>([
  ['a group', { toolsets: ['modules'] }, ['search_modules', 'get_module']],
  ['two groups, lean', { toolsets: ['wallet', 'lean', 'modules'] }, ['search_modules', 'get_module', 'get_wallet']],
  ['names', { tools: ['lilypad_get_job', 'lilypad_run_job'] }, ['run_job', 'get_job']],
  ['names of a group', { toolsets: ['jobs'], tools: ['lilypad_get_job', 'lilypad_get_wallet'] }, ['get_job']],
])('%s', (_name, selection, expected) => expect(names(selection)).toEqual(expected))

test('read-only wins over names', () => {
  expect(names({ isReadOnly: true, tools: ['lilypad_run_job', 'lilypad_get_job'] })).toEqual(['get_job'])
  expect(list({ isReadOnly: true }).every(({ annotations }) => annotations?.readOnlyHint)).toBe(true)
  expect(names({ isReadOnly: true })).not.toEqual(expect.arrayContaining(['run_job']))
})
