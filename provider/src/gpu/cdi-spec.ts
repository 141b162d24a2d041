import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { asObject, findJsonObject } from './tool-reading.ts'

const maxSpecBytes = 4 * 1024 ** 2
const maxSpecs = 256
const kindShape = /^[A-Za-z][\w.-]*\/[A-Za-z][\w-]*$/
const deviceShape = /^[A-Za-z0-9][\w.:-]*$/

/** Qualified names (`nvidia.com/gpu=<name>`) of the devices that a CDI file describes; none when it is not one we can read. */
export function parseCdiDevices(text: string, format: 'json' | 'yaml'): readonly string[] {
  const { kind, names } = format === 'json' ? readJson(text) : readYaml(text)
  if (kind === undefined || !kindShape.test(kind)) return []
  return names.filter((name) => deviceShape.test(name)).map((name) => `${kind}=${name}`)
}

type Spec = { readonly kind: string | undefined; readonly names: readonly string[] }

function readJson(text: string): Spec {
  const spec = findJsonObject(text)
  const devices = Array.isArray(spec?.devices) ? spec.devices : []
  const names = devices.map((device) => asObject(device)?.name)
  return {
    kind: typeof spec?.kind === 'string' ? spec.kind : undefined,
    names: names.filter((name) => typeof name === 'string'),
  }
}

/**
 * Reads the two keys that matter out of YAML in block style, as the vendors' tools write it. In any other style no device is
 * found, and GPUs are asked for the other way.
 */
function readYaml(text: string): Spec {
  let kind: string | undefined
  let isInDevices = false
  let itemIndent: number | undefined
  const names: string[] = []
  for (const line of text.split('\n')) {
    const [, dashIndent, afterDash] = /^( *)- ?(.*)$/.exec(line) ?? []
    const isTopLevel = /^[^\s#-]/.test(line)
    if (isTopLevel) {
      isInDevices = /^devices:\s*$/.test(line)
      itemIndent = undefined
      kind ??= scalarOf('kind', line)
    }
    if (!isInDevices || isTopLevel) continue
    if (dashIndent !== undefined) itemIndent ??= dashIndent.length
    if (itemIndent === undefined) continue
    // The name stands right behind the dash of its item, or on a line of its own two columns further in.
    const isOwnDash = dashIndent?.length === itemIndent
    const isOwnKey = dashIndent === undefined && line.search(/\S/) === itemIndent + 2
    const name = isOwnDash ? scalarOf('name', afterDash ?? '') : isOwnKey ? scalarOf('name', line.trim()) : undefined
    if (name !== undefined) names.push(name)
  }
  return { kind, names }
}

function scalarOf(key: string, line: string): string | undefined {
  const [, quoted, single, plain] =
    new RegExp(`^${key}:\\s+(?:"([^"]*)"|'([^']*)'|([^\\s#"'&*|>{[]\\S*))\\s*(?:#.*)?$`).exec(line) ?? []
  return quoted ?? single ?? plain
}

/** Devices in all CDI files of these folders, by qualified name. Missing folders and files that cannot be read hold none. */
export async function listCdiDevices(folders: readonly string[]): Promise<ReadonlySet<string>> {
  const devices = new Set<string>()
  for (const folder of folders) {
    const files = (await readdir(folder).catch(() => [])).filter((name) => /\.(json|yaml)$/.test(name)).sort()
    for (const name of files.slice(0, maxSpecs)) {
      const text = await readSpec(join(folder, name))
      for (const device of parseCdiDevices(text, name.endsWith('.json') ? 'json' : 'yaml')) devices.add(device)
    }
  }
  return devices
}

async function readSpec(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile() || found.size > maxSpecBytes) return ''
  return readFile(path, 'utf8').catch(() => '')
}
