export { createAccount, creditAccount, getBalance, listAccounts } from './account/account.ts'
export { createApiKey, revokeApiKey } from './account/api-key.ts'
export { type GatewayConfig, readCommand } from './config.ts'
export { type RunningGateway, startGateway } from './start-gateway.ts'
