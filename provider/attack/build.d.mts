export const architectures: readonly string[]
export function findCompiler(architecture: string): string | undefined
export function buildAttack(architecture: string): Buffer
export function sourceDigest(): string
