export { type Check, toVerification, type Verification } from './check.ts'
export { type FindOutput, type FoundOutput, verifyBundle } from './verify-bundle.ts'
