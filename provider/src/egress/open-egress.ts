import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { ModuleNetwork } from '@lilypad-agents/protocol'
import { egressPort, egressSocket } from '../executors/docker/slot-frame.ts'
import type { Isolation } from '../executors/executor.ts'
import type { EgressSettings } from './egress-policy.ts'
import { EgressProxy } from './egress-proxy.ts'

/** The way out of one job. */
export type Egress = {
  /** What went through, for the manifest of the job. */
  describe(): Isolation
  close(): Promise<void>
}

const url = `http://127.0.0.1:${egressPort}`
// Some programs read the one spelling, some the other, and what they serve to themselves needs no proxy.
const names = { http_proxy: url, https_proxy: url, no_proxy: 'localhost,127.0.0.1' }
/** Variables that tell the programs of a slot of its proxy. */
export const egressEnvironment: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(names).flatMap(([name, value]) => [
    [name, value],
    [name.toUpperCase(), value],
  ]),
)

/** Opens the way out of a job: a proxy on a socket in the folder of its slot. */
export async function openEgress(
  folder: string,
  { hosts }: ModuleNetwork,
  { policy: _, hosts: __, ...settings }: EgressSettings,
): Promise<Egress> {
  // The name of a socket has 107 bytes at most, and state directories may have long names.
  const handle = await open(folder, constants.O_DIRECTORY)
  let proxy: EgressProxy
  try {
    proxy = await EgressProxy.listen({ ...settings, socketPath: `/proc/self/fd/${handle.fd}/${egressSocket}`, hosts })
  } catch (error) {
    await handle.close()
    throw error
  }
  return {
    describe() {
      const { connections, refused, sentBytes, receivedBytes } = proxy.counts()
      return {
        network: 'declared hosts, by proxy',
        egressHosts: hosts.join(' ').slice(0, 256),
        egressConnections: connections,
        egressRefused: refused,
        egressSentBytes: sentBytes,
        egressReceivedBytes: receivedBytes,
      }
    },
    async close() {
      await proxy.close()
      await handle.close()
    },
  }
}
