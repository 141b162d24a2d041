import { z } from 'zod'
import { slotFolderInside } from './container-options.ts'

/** A limit of a process in the words of a specification, with {@link unlimited} where there is none. */
export type ResourceLimit = {
  readonly type: string
  readonly soft: number | typeof unlimited
  readonly hard: number | typeof unlimited
}

/** Stands for the largest number of 64 bits, which no number of JavaScript is. */
export const unlimited = 'unlimited'

const Mount = z.looseObject({
  destination: z.string(),
  type: z.string().optional(),
  source: z.string().optional(),
  options: z.array(z.string()).optional(),
})

/** The part of an OCI runtime specification that tells one container of a pattern from another, and what forbids to copy it. */
export const ContainerSpec = z.looseObject({
  process: z.looseObject({
    env: z.array(z.string()),
    noNewPrivileges: z.literal(true),
    selinuxLabel: z.string().optional(),
  }),
  root: z.looseObject({ path: z.string(), readonly: z.literal(true) }),
  hostname: z.string(),
  mounts: z.array(Mount),
  hooks: z.record(z.string(), z.array(z.unknown())).nullish(),
  linux: z.looseObject({
    cgroupsPath: z.string(),
    namespaces: z.array(z.looseObject({ type: z.string(), path: z.string().optional() })),
    seccomp: z.looseObject({}),
    uidMappings: z.array(z.unknown()).nullish(),
    gidMappings: z.array(z.unknown()).nullish(),
    mountLabel: z.string().nullish(),
  }),
})
export type ContainerSpec = z.output<typeof ContainerSpec>

/** What one container has for itself. */
export type OwnParts = {
  /** 64 hexadecimal digits, as those of the engine. */
  readonly id: string
  readonly rootFolder: string
  readonly inputFolder: string
  readonly slotFolder: string
  /** A folder of this machine, or what a file system in memory is mounted with. */
  readonly outputs: { readonly folder: string } | { readonly mountOptions: readonly string[] }
  /** Files of this machine that stand for those the engine made for its container, by where they are inside. */
  readonly files: ReadonlyMap<string, string>
}

const ownNamespaces = ['mount', 'network', 'pid', 'ipc', 'uts']
const isBind = ({ type, options }: z.output<typeof Mount>) =>
  type === 'bind' || (options ?? []).some((option) => option === 'bind' || option === 'rbind')
const placeFolders = ['/in', '/out', slotFolderInside]

/**
 * The specification in the engine's words of a container that may be copied.
 * @throws CannotCopyError when it holds something that two containers cannot both have
 */
export function parseContainerSpec(text: string): ContainerSpec {
  const { data: spec } = ContainerSpec.safeParse(parseJson(text))
  if (spec === undefined) throw new CannotCopyError('the engine describes its containers in words that are not known')
  const { hooks, linux, mounts } = spec
  if (Object.values(hooks ?? {}).some((list) => list.length > 0))
    throw new CannotCopyError('the engine runs hooks for its containers')
  if (spec.process.selinuxLabel || linux.mountLabel) throw new CannotCopyError('the engine labels files for SELinux')
  if ((linux.uidMappings ?? []).length > 0 || (linux.gidMappings ?? []).length > 0)
    throw new CannotCopyError('the engine maps users')
  const { namespaces } = linux
  if (
    namespaces.some(({ type, path }) => type === 'user' || path) ||
    ownNamespaces.some((type) => !namespaces.some((namespace) => namespace.type === type))
  )
    throw new CannotCopyError('the containers of the engine share name spaces')
  for (const folder of placeFolders)
    if (!mounts.some((mount) => mount.destination === folder && isBind(mount)))
      throw new CannotCopyError(`the engine does not bind ${folder}`)
  return spec
}

/** Files of this machine that the engine binds into the container besides the folders of a slot, by where they are inside. */
export function listEngineFiles({ mounts }: ContainerSpec): ReadonlyMap<string, string> {
  return new Map(
    mounts
      .filter((mount) => isBind(mount) && !placeFolders.includes(mount.destination))
      .map(({ destination, source = '' }) => [destination, source]),
  )
}

/** The host name of a container, as the engine takes it from an id. */
export const hostnameOf = (id: string) => id.slice(0, 12)

/** The specification of one more container: the same but for what each has for itself. */
export function copySpec(spec: ContainerSpec, own: OwnParts): ContainerSpec {
  const hostname = hostnameOf(own.id)
  return {
    ...spec,
    process: {
      ...spec.process,
      env: spec.process.env.map((line) => (line === `HOSTNAME=${spec.hostname}` ? `HOSTNAME=${hostname}` : line)),
    },
    root: { ...spec.root, path: own.rootFolder },
    hostname,
    mounts: spec.mounts.map((mount) => {
      if (!isBind(mount)) return mount
      switch (mount.destination) {
        case '/in':
          return { ...mount, source: own.inputFolder }
        case slotFolderInside:
          return { ...mount, source: own.slotFolder }
        case '/out':
          return 'folder' in own.outputs
            ? { ...mount, source: own.outputs.folder }
            : {
                destination: '/out',
                type: 'tmpfs',
                source: 'tmpfs',
                options: ['rprivate', ...own.outputs.mountOptions],
              }
        default:
          return { ...mount, source: own.files.get(mount.destination) ?? '' }
      }
    }),
    linux: { ...spec.linux, cgroupsPath: renameControlGroup(spec.linux.cgroupsPath, own.id) },
  }
}

/** A specification as a runtime reads it. */
export function encodeContainerSpec(spec: ContainerSpec): string {
  return JSON.stringify(spec).replaceAll(`"${unlimited}"`, String(2n ** 64n - 1n))
}

/** A group beside the one of this path: `/parent/name`, or `slice:prefix:name` for systemd. */
export function renameControlGroup(path: string, name: string): string {
  const isOfSystemd = !path.includes('/') && path.split(':').length === 3
  return path.slice(0, path.lastIndexOf(isOfSystemd ? ':' : '/') + 1) + name
}

/** Why containers of this engine cannot be copied. The reason holds no path and no name of this machine. */
export class CannotCopyError extends Error {
  override readonly name = 'CannotCopyError'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
