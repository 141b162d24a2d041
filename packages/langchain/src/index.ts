export { ChatLilypad, type ChatLilypadFields } from './chat/chat-lilypad.ts'
export type { ChatLilypadCallOptions, ChatSettings } from './chat/request.ts'
export type { OutputSchema } from './chat/structured-output.ts'
export { LilypadEmbeddings, type LilypadEmbeddingsFields } from './embeddings/lilypad-embeddings.ts'
export {
  BudgetExceededError,
  type Charged,
  ConnectionLostError,
  JobFailedError,
  JobTimeoutError,
  LilypadError,
  type LilypadErrorOptions,
  PaymentRequiredError,
  PriceOverCapError,
  StreamTruncatedError,
  VerificationFailedError,
} from './error/lilypad-error.ts'
export type { GatewayOptions } from './gateway/gateway-client.ts'
export { apiKeyPayer } from './payer/api-key-payer.ts'
export type {
  FinishedJob,
  JobFile,
  JobOutput,
  JobQuote,
  JobRequest,
  JobStatus,
  ModuleOffer,
  Payer,
  RunOptions,
} from './payer/payer.ts'
export { getReceipt, type LilypadReceipt, sumCost } from './receipt/receipt.ts'
export { type ReceiptCheck, type ReceiptVerification, verifyReceipt } from './receipt/verify-receipt.ts'
export { lilypadJobStatusTool } from './tools/lilypad-job-status-tool.ts'
export { lilypadQuoteTool } from './tools/lilypad-quote-tool.ts'
export { type LilypadArtifact, lilypadTool, type LilypadToolOptions } from './tools/lilypad-tool.ts'
export { LilypadToolkit, type LilypadToolkitOptions } from './tools/lilypad-toolkit.ts'
