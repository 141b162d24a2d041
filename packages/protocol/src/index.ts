export { TokenAmount, Uint256 } from './primitives/amount.ts'
export { fromBase64, toBase64 } from './primitives/base64.ts'
export { canonicalJson, type Json } from './primitives/canonical-json.ts'
export {
  Address,
  Bytes32,
  concatBytes,
  fromHex,
  PayerSignature,
  Signature,
  toHex,
  zeroAddress,
  zeroBytes32,
  type Hex,
} from './primitives/hex.ts'
export { Counter, UnixSeconds } from './primitives/integer.ts'
export { cryptoBackend, pureCrypto, setCryptoBackend, type CryptoBackend } from './crypto/crypto-backend.ts'
export { keccak256, sha256 } from './crypto/hash.ts'
export { createSigner, findSigner, isSignedBy, type Signer } from './crypto/signer.ts'
export { defineSignedObject, type SignedObject } from './eip712/signed-object.ts'
export {
  encodeType,
  encodeWord,
  hashTypedObject,
  type Field,
  type SigningDomain,
  type TypedObject,
} from './eip712/typed-data.ts'
export { askType, Ask } from './ask/ask.ts'
export {
  listFailedChecks,
  listMissedChecks,
  listPreflightWarnings,
  PreflightCheck,
  PreflightReport,
  requiredPreflightChecks,
} from './attestation/preflight-report.ts'
export {
  attestationDigest,
  findAttestationFault,
  findAttestationLapse,
  findMissedFault,
  isAttestationSigned,
  NodeAttestation,
  nodeAttestationType,
  SignedAttestation,
  signAttestation,
} from './attestation/node-attestation.ts'
export { GpuOffer, GpuOffers, hasGpusFor, isModelResident } from './ask/gpu-offer.ts'
export { isInRegion, Region } from './ask/region.ts'
export { jobPrice, type MeteredUnits } from './ask/job-price.ts'
export { sessionGrantType, SessionGrant } from './grant/session-grant.ts'
export { jobOrderType, JobOrder, verificationPolicies } from './order/job-order.ts'
export { Reservation, reservationType } from './reservation/reservation.ts'
export { JobLogs, logsDigest, LogStream } from './receipt/logs-digest.ts'
export { isSafePath, OutputFile, OutputPath, outputsRoot } from './receipt/outputs-root.ts'
export { Receipt, receiptType, receiptStatuses, type ReceiptStatus } from './receipt/receipt.ts'
export { appendRecord, recordHash, type JobRecord } from './voucher/job-record.ts'
export { Acknowledgement, acknowledgementType } from './acknowledgement/acknowledgement.ts'
export { SettlementApproval, settlementApprovalType } from './settlement/settlement-approval.ts'
export { laneId, Voucher, voucherType, type Lane } from './voucher/voucher.ts'
export { firstStepLane, isStepLane, SignedStep, Step, stepRecord, stepType } from './step/step.ts'
export { isStreamedReply, stepTerms, type StepTerms } from './step/step-terms.ts'
export { ReplyMeter } from './step/reply-meter.ts'
export { findStepFault, type SeenReply } from './step/find-step-fault.ts'
export {
  packSettlementLanes,
  parseSettlementLanes,
  settlementHash,
  SettlementLanes,
  type PackedLane,
  type SettlementLane,
} from './settlement/settlement-lanes.ts'
export { completeLane, type LaneProgress } from './settlement/complete-lane.ts'
export { findRefusedLanes, type RefusedLane, SettlementRefusedError } from './settlement/settlement-refused-error.ts'
export { verdictType, Verdict, verdictOutcomes } from './verdict/verdict.ts'
export { Access, accessType, connectionSubject } from './access/access.ts'
export { deliveredBytesLimit, findRecipient, isRecipient, recipientInput } from './module/recipient.ts'
export { cancellationSubject } from './access/cancellation-subject.ts'
export { createAuthorization, findAuthorized, maxAccessSeconds } from './access/authorization.ts'
export { createLinkAccess, findLinkSigner, type LinkedOutput, maxLinkSeconds } from './access/output-link.ts'
export { FileInputSchema, InputName, InputPropertySchema, InputSchema } from './module/input-schema.ts'
export { inputUnits } from './module/input-units.ts'
export { InputFile, inputsDigest, InputsInvalidError, JobInputs, listInputFiles, parseInputs } from './module/inputs.ts'
export { GpuLimits, ModuleLimits } from './module/module-limits.ts'
export { ModuleHost, ModuleNetwork } from './module/module-network.ts'
export { ModuleServer, responsePath, serverProtocols } from './module/module-server.ts'
export { findServerUsage, type ServerUsage } from './module/server-usage.ts'
export { maxCompletionTokens, unitBounds } from './module/unit-bounds.ts'
export {
  Comparator,
  determinisms,
  encodeModuleManifest,
  ImageDigest,
  moduleId,
  ModuleManifest,
  moduleManifestDigest,
  ModuleName,
  ModuleRuntime,
  moduleVersionId,
  OutputUnitSource,
  UnitSource,
} from './module/module-manifest.ts'
export { inputFileName, programArguments, programInputs } from './module/program-arguments.ts'
export { matchesOutput } from './comparator/matches-output.ts'
export {
  actorClasses,
  actorValue,
  defaultExponents,
  reputation,
  type ActorClass,
  type ValueExponents,
} from './rewards/actor-value.ts'
export { rewardShares } from './rewards/reward-shares.ts'
export {
  encodeJobManifest,
  JobManifest,
  jobManifestDigest,
  JobOutcome,
  jobPredicateType,
  toSubjects,
} from './job/job-manifest.ts'
export { findStreamFault, type SeenStream, StreamBrokenError, StreamChain, streamStart } from './stream/stream-chain.ts'
export { maxStreamChunkBytes, StreamChunk, StreamFile, type StreamPiece, StreamSummary } from './stream/stream-chunk.ts'
export { maxStreamBytes, maxStreamChunks, streamLimits, streamWindowBytes } from './stream/stream-limits.ts'
export { canMove, hasRun, isFinal, jobMoves, jobStates, type JobState } from './job/state.ts'
export {
  DsseEnvelope,
  findDsseSigner,
  findManifestSigner,
  signManifest,
  toDsseEnvelope,
} from './bundle/dsse-envelope.ts'
export { JobBundle } from './bundle/job-bundle.ts'
export { InvalidRequestError, parseWire } from './error/common-errors.ts'
export { errorCodes, errorTable, type ErrorCode, type ErrorRow } from './error/error-table.ts'
export {
  ErrorBody,
  fromErrorBody,
  LilypadError,
  toLilypadError,
  type Charged,
  type LilypadErrorOptions,
} from './error/lilypad-error.ts'
export { ProviderFrame, SmallOutput, smallOutputLimits, SolverFrame } from './http/provider-frame.ts'
export {
  AcknowledgementRequest,
  apiVersion,
  Delivery,
  JobEvent,
  JobView,
  ModuleList,
  ModuleListing,
  NetworkInfo,
  OrderRequest,
  PublishRequest,
  Quote,
  QuoteRequest,
  SettlementApprovalAnswer,
  SignedAsk,
  SignedGrant,
  SignedReservation,
  SignedVoucher,
  StepAcknowledgement,
} from './http/solver-api.ts'
