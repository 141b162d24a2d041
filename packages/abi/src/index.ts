export { jobVaultAbi, jobVaultBytecode } from './generated/job-vault.ts'
export { lilyTokenAbi, lilyTokenBytecode } from './generated/lily-token.ts'
export { moduleRegistryAbi, moduleRegistryBytecode } from './generated/module-registry.ts'
