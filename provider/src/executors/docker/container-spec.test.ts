import { describe, expect, test } from 'vitest'
import { copySpec, encodeContainerSpec, parseContainerSpec, renameControlGroup, unlimited } from './container-spec.ts'

const id = 'a'.repeat(64)
const bind = (destination: string, source: string) => ({ destination, type: 'bind', source, options: ['rbind', 'ro'] })
/** What an engine writes, cut to what matters here. */
const engineSpec = {
  ociVersion: '1.0.2',
  process: {
    args: ['/.lp/init'],
    env: ['PATH=/bin', 'HOSTNAME=0123456789ab', 'OF_IMAGE=HOSTNAME=0123456789ab'],
    noNewPrivileges: true,
    apparmorProfile: 'docker-default',
    capabilities: {},
  },
  root: { path: '/engine/merged', readonly: true },
  hostname: '0123456789ab',
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid'] },
    bind('/in', '/place/in'),
    { ...bind('/out', '/place/out'), options: ['rbind', 'rprivate'] },
    bind('/.lp', '/place/lp'),
    bind('/etc/hostname', '/engine/containers/0123/hostname'),
  ],
  hooks: {},
  linux: {
    cgroupsPath: `/docker/${'0'.repeat(64)}`,
    namespaces: ['mount', 'network', 'uts', 'pid', 'ipc'].map((type) => ({ type })),
    seccomp: { defaultAction: 'SCMP_ACT_ERRNO' },
    resources: { memory: { limit: 67_108_864 } },
    maskedPaths: ['/proc/kcore'],
  },
}
const parse = (changes: object = {}) => parseContainerSpec(JSON.stringify({ ...engineSpec, ...changes }))
const own = {
  id,
  rootFolder: '/own/root',
  inputFolder: '/own/in',
  slotFolder: '/own/lp',
  outputs: { mountOptions: ['nosuid', 'nodev', 'noexec', 'size=4096'] },
  files: new Map([['/etc/hostname', '/own/file-0']]),
}

test('a copy differs in what a container has for itself, and in nothing else', () => {
  const copy = copySpec(parse(), own)
  expect(copy).toEqual({
    ...engineSpec,
    process: { ...engineSpec.process, env: ['PATH=/bin', 'HOSTNAME=aaaaaaaaaaaa', 'OF_IMAGE=HOSTNAME=0123456789ab'] },
    root: { path: '/own/root', readonly: true },
    hostname: 'aaaaaaaaaaaa',
    mounts: [
      engineSpec.mounts[0],
      bind('/in', '/own/in'),
      {
        destination: '/out',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['rprivate', 'nosuid', 'nodev', 'noexec', 'size=4096'],
      },
      bind('/.lp', '/own/lp'),
      bind('/etc/hostname', '/own/file-0'),
    ],
    linux: { ...engineSpec.linux, cgroupsPath: `/docker/${id}` },
  })
  const onDisk = copySpec(parse(), { ...own, outputs: { folder: '/own/out' } })
  expect(onDisk.mounts[2]).toEqual({ ...engineSpec.mounts[2], source: '/own/out' })
})

test('a limit that is none is written as the largest number, which JavaScript would round', () => {
  const spec = parse()
  const rlimits = [{ type: 'RLIMIT_AS', soft: unlimited, hard: unlimited }]
  const text = encodeContainerSpec({ ...spec, process: { ...spec.process, rlimits } })
  expect(text).toContain('{"type":"RLIMIT_AS","soft":18446744073709551615,"hard":18446744073709551615}')
})

test.each([
  ['/docker/0123', '/docker/new'],
  ['/system.slice/docker/0123', '/system.slice/docker/new'],
  ['system.slice:docker:0123', 'system.slice:docker:new'],
])('the control group %s is followed by %s', (path, expected) => {
  expect(renameControlGroup(path, 'new')).toBe(expected)
})

describe('is not copied', () => {
  const linux = (changes: object) => ({ linux: { ...engineSpec.linux, ...changes } })
  const namespaces = engineSpec.linux.namespaces
  test.each<[what: string, changes: object, message: string]>([
    ['with hooks', { hooks: { prestart: [{ path: '/bin/x' }] } }, 'the engine runs hooks for its containers'],
    ['with mapped users', linux({ uidMappings: [{}] }), 'the engine maps users'],
    ['with a label for files', linux({ mountLabel: 'x' }), 'the engine labels files for SELinux'],
    [
      'with a label of its own',
      { process: { ...engineSpec.process, selinuxLabel: 'x' } },
      'the engine labels files for SELinux',
    ],
    [
      'in the network of another',
      linux({ namespaces: [...namespaces.slice(2), { type: 'mount' }, { type: 'network', path: '/run/netns/x' }] }),
      'the containers of the engine share name spaces',
    ],
    [
      'without a network of its own',
      linux({ namespaces: namespaces.filter(({ type }) => type !== 'network') }),
      'the containers of the engine share name spaces',
    ],
    ['without /out', { mounts: engineSpec.mounts.slice(0, 2) }, 'the engine does not bind /out'],
    [
      'with a root that can be written',
      { root: { path: '/', readonly: false } },
      'the engine describes its containers in words that are not known',
    ],
    [
      'without a list of system calls',
      linux({ seccomp: undefined }),
      'the engine describes its containers in words that are not known',
    ],
    [
      'with new privileges',
      { process: { ...engineSpec.process, noNewPrivileges: false } },
      'the engine describes its containers in words that are not known',
    ],
  ])('a container %s', (_what, changes, message) => {
    expect(() => parse(changes)).toThrow(message)
  })

  test('what is no JSON', () => {
    expect(() => parseContainerSpec('{')).toThrow('the engine describes its containers in words that are not known')
  })
})
