export { assertDeployment, checkDeployment, type DeploymentCheck } from './check-deployment.ts'
export { type Deployment, deployContracts } from './deploy-contracts.ts'
export { creationOrder, type DeploymentOptions, planDeployment, type PlannedContract } from './deployment-plan.ts'
