import { memorySkillFiles, type SkillCatalog, SkillsExtension } from '@modelcontextprotocol/server/ext/skills'
import { skillFiles } from '../generated/embedded-files.ts'

let catalog: Promise<SkillCatalog> | undefined

/** The skills that go with the tools, checked and hashed once per process. */
export function loadSkills(): Promise<SkillCatalog> {
  catalog ??= SkillsExtension.load(memorySkillFiles({ ...skillFiles }), {
    strict: true,
    cacheHint: { ttlMs: 3_600_000, cacheScope: 'public' },
  })
  return catalog
}
