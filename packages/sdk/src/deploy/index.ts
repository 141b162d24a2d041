export { type DeploymentOptions, deployContracts } from './deploy-contracts.ts'
