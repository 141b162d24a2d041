import type { Address } from '@lilypad-agents/protocol'

/** The deterministic deployment proxy, at the same address on every chain that matters. @see EIP-1014, Arachnid's proxy */
export const deterministicProxy: Address = '0x4e59b44847b379578588920ca78fbf26c0b4956c'
