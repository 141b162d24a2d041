import { afterEach, expect, test, vi } from 'vitest'
import { findCopyRuntime } from './copy-runtime.ts'
import type { EngineHost } from './engine.ts'

const host: EngineHost = { runtimes: { runc: { path: 'runc' } }, securityOptions: [], cgroupDriver: 'cgroupfs' }
const find = (changes: Partial<EngineHost>, name = 'runc') => findCopyRuntime({ host: { ...host, ...changes } }, name)

afterEach(() => void vi.restoreAllMocks())
const asRoot = () => vi.spyOn(process, 'getuid').mockReturnValue(0)

test.each<[what: string, changes: Partial<EngineHost>, message: string, name?: string]>([
  ['maps users', { securityOptions: ['name=seccomp', 'name=userns'] }, 'the engine maps users'],
  ['has no root', { securityOptions: ['name=rootless'] }, 'the engine has no root'],
  ['labels files', { securityOptions: ['name=selinux,x'] }, 'the engine labels files for SELinux'],
  ['keeps no control groups', { cgroupDriver: 'none' }, 'the engine keeps control groups in an unknown way'],
  [
    'runs gVisor',
    { runtimes: { runsc: { path: '/bin/runsc' } } },
    'the runtime of the engine is not runc or crun',
    'runsc',
  ],
  [
    'gives its runtime arguments',
    { runtimes: { runc: { path: 'runc', runtimeArgs: ['--no-pivot'] } } },
    'the engine gives its runtime arguments of its own',
  ],
  [
    'has another runtime than this machine',
    { runtimes: { runc: { path: '/nowhere/runc' } } },
    'the runtime of the engine is not on this machine',
  ],
])('slots of an engine are not copied that %s', async (_what, changes, message, name) => {
  asRoot()
  await expect(find(changes, name)).rejects.toThrow(message)
})

test('a provider without root copies nothing', async () => {
  vi.spyOn(process, 'getuid').mockReturnValue(1000)
  await expect(find({})).rejects.toThrow('only root can start containers without the engine')
})
