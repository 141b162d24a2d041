import { z } from 'zod'

const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
const publicName = new RegExp(`^(${label}\\.)+(?=[a-z])${label}$`)
/** Ends of names that stand for nothing on the public internet. */
const privateEnds = [
  'local',
  'localhost',
  'internal',
  'intranet',
  'lan',
  'home',
  'corp',
  'private',
  'arpa',
  'onion',
  'alt',
  'test',
  'invalid',
]

/**
 * A host and a port that a module talks to, such as `api.example.org:443`: a name of the public internet in lower case (punycode where
 * it has other letters), never an address, and one port.
 */
export const ModuleHost = z
  .string()
  .max(259)
  .refine((text) => {
    const [name = '', port = '', ...rest] = text.split(':')
    return (
      rest.length === 0 &&
      name.length <= 253 &&
      publicName.test(name) &&
      !privateEnds.includes(name.slice(name.lastIndexOf('.') + 1)) &&
      /^[1-9]\d{0,4}$/.test(port) &&
      Number(port) <= 65_535
    )
  }, 'expected a public name and a port, such as api.example.org:443')
export type ModuleHost = z.output<typeof ModuleHost>

/** What a module may talk to while it runs: nothing, unless its author names it here and the provider allows it. */
export const ModuleNetwork = z.strictObject({
  hosts: z
    .array(ModuleHost)
    .min(1)
    .max(16)
    .refine((hosts) => new Set(hosts).size === hosts.length, 'names a host twice'),
})
export type ModuleNetwork = z.output<typeof ModuleNetwork>
