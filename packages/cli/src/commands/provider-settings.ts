import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { StateDirectory } from '../local/state-directory.ts'

export type ProviderFlags = {
  readonly config?: string
  readonly network?: string
  readonly key?: string
  /** Given when the state directory was named, not when it is the default. */
  readonly isStateNamed?: boolean
}

/**
 * Flags for the provider's own settings. With a configuration file it says where network and key are, unless they are named here; without
 * one they are those of the state directory of a local network.
 */
export function providerArguments(state: StateDirectory, flags: ProviderFlags): readonly string[] {
  const { network, key } = flags
  const named = [
    ...(network === undefined ? [] : ['--network', resolve(network)]),
    ...(key === undefined ? [] : ['--key-file', resolve(key)]),
  ]
  const place = ['--state-dir', state.path]
  // The file may name a state directory, which the default must not overrule.
  if (flags.config !== undefined)
    return ['--config', resolve(flags.config), ...(flags.isStateNamed === true ? place : []), ...named]
  if (existsSync(join(state.path, 'provider.toml'))) return [...place, ...named]
  return [
    ...place,
    '--network',
    resolve(network ?? state.networkFile),
    '--key-file',
    resolve(key ?? state.keyFile('provider')),
  ]
}
