import type { ModuleRuntime } from '@lilypad-agents/protocol'

/**
 * Whether a provider has to show that its sandbox holds before it is given jobs of a module. Of a model server nobody else can
 * tell whether it runs in a container or as a process that its operator trusts, so the provider alone decides about those.
 */
export const needsAttestation = (runtime: ModuleRuntime) => runtime.kind === 'container' && runtime.server === undefined
