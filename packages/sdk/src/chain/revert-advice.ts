/** What a refusal of a contract asks of who called: one word per thing that can be done about it. */
export type RevertKind =
  | 'wait'
  | 'tooLate'
  | 'done'
  | 'forbidden'
  | 'signature'
  | 'funds'
  | 'limit'
  | 'unknown'
  | 'state'
  | 'input'
  | 'token'
  | 'setup'

/** What to do, as a sentence for the person or model that called. */
export const revertHints: { readonly [kind in RevertKind]: string } = {
  wait: 'nothing is wrong, it is too early: the arguments say until when; try again after that',
  tooLate: 'the time for this call has passed and does not come back; read the state to see what can be done now',
  done: 'this was done before, by you or by somebody else; read the state, and do not send it again',
  forbidden: 'only another account may do this; the arguments name it, or call with the key that owns the thing',
  signature:
    'a signature is not of the account it should be of, or is for another chain or contract; have it signed anew',
  funds: 'there is too little money, stake or credit; deposit more or ask for less',
  limit: 'a cap or bound does not allow this amount; ask for less, or have the owner raise the cap',
  unknown: 'there is nothing under this id; look the id up again',
  state: 'the thing is in another state than the call needs; read it, and go on from there',
  input: 'the arguments do not fit what was signed or what the contract accepts; correct the ones named',
  token: 'the token refused to move; check its balance, its allowance, and that neither party is blocked by it',
  setup: 'the contracts were put together wrong, which no call can mend; check the network file',
}

/** The first that fits decides, so exceptions stand above the rule of their ending. */
const rules: readonly (readonly [RegExp, RevertKind])[] = [
  // Of the token, its libraries and ours.
  [/^(TransferFailed|TransferFromFailed|ApproveFailed)$/, 'token'],
  [/^(FailedCall|DeploymentFailed|Reentrancy)$/, 'state'],
  [
    /^(InvalidShortString|StringTooLong|CheckpointUnorderedInsertion|ERC6372InconsistentClock|SafeCastOverflowed\w+)$/,
    'setup',
  ],
  [/^(InvalidAccountNonce|ERC3009UsedAuthorization)$/, 'done'],
  [/^(ERC2612ExpiredSignature|VotesExpiredSignature)$/, 'tooLate'],
  [/^(ERC3009InvalidAuthorizationTime|ERC5805FutureLookup)$/, 'wait'],
  [/^(ERC20Insufficient\w+|GovernorInsufficientProposerVotes)$/, 'funds'],
  [/^ERC20ExceededSafeSupply$/, 'limit'],
  [/^(ECDSAInvalid\w+|ERC2612InvalidSigner|ERC3009InvalidSignature|GovernorInvalidSignature)$/, 'signature'],
  [/^(ERC721NonexistentToken|GovernorNonexistentProposal)$/, 'unknown'],
  [/^ERC721(IncorrectOwner|InsufficientApproval)$/, 'forbidden'],
  [/^(ERC20|ERC721|Governor)Invalid\w+$/, 'input'],
  [/^Governor(AlreadyCastVote|AlreadyQueuedProposal)$/, 'done'],
  [/^(GovernorUnexpectedProposalState|GovernorProposalQueueing\w+|TimelockUnexpectedOperationState)$/, 'state'],
  [/^TimelockUnexecutedPredecessor$/, 'wait'],
  [/^(TimelockInsufficientDelay|TimelockInvalidOperationLength|OwnableInvalidOwner)$/, 'input'],
  [/(Unauthorized\w*|OnlyExecutor|RestrictedProposer|UnableToCancel|DisabledDeposit|BadConfirmation)$/, 'forbidden'],

  // Ours, where the ending alone would mislead.
  [/^(GrantIsRevoked|VersionAlreadyDeprecated|ClaimWindowInvalid|RewardPoolTaken|RewardEnrolmentRefused)$/, 'state'],
  [/^(GrantMissing|EscrowPaymentMissing|RewardShareMissing)$/, 'unknown'],
  [/^(StakeCaseOpen|DrawMediatorsMissing|GrantNarrowsLiveGrant|PoolFull)$/, 'wait'],
  [/^(GuardianUnchanged|GuardianChangeMissing|ParameterNotScheduled)$/, 'state'],
  [
    /^(AuditNotAgreed|AuditNotSampled|AuditJobUnpaid|ClaimOfLock|ClaimRefused|ClaimRunFailed|LaneUnapproved|LaneDryRun|HeldUnreserved)$/,
    'state',
  ],
  [/^(StakeShortfall|StakeExposureTooLow|StakePenaltyAboveExposure)$/, 'state'],
  [
    /^(LockStakeTooLow|PoolStakeTooLow|StakeBelowMinimum|LaneBalanceTooLow|HeldBalanceTooLow|HeldArrivalTooLow)$/,
    'funds',
  ],
  [/^(WithdrawAboveBalance|StakeUnbondAboveFree)$/, 'funds'],
  [/^(RewardWindowOpen)$/, 'wait'],
  [/^(RewardWindowClosed)$/, 'tooLate'],
  [/^(GrantDelegateInvalid|ModuleNotOffered|EscrowPaymentUnproven)$/, 'forbidden'],
  [/^(AgentCallerUnauthorized|ModuleAuthorMismatch|AgentMismatch|DeployerCallerMismatch)$/, 'forbidden'],
  [
    /^(DelegationEmpty|GrantMemberUnproven|ComparatorMissing|ManifestDigestMissing|CredentialIncomplete|AgentWalletMissing|\w*ReceiverMissing|RewardWeightsMissing)$/,
    'input',
  ],
  [/^SettlementApprovalInvalid$/, 'signature'],
  [/^DepositNonceReserved$/, 'input'],
  [/^SettlementAnnouncedBefore$/, 'done'],
  [/^SettlementNotExecutable$/, 'wait'],

  // The endings that the contracts share.
  [/(CollaboratorMissing|RegistryMissing|OwnerMissing)$/, 'setup'],
  [/(TooEarly|NotFinal|NotOver|NotOverdue|NotExpired|Pending|RoundJudging|RefundTooEarly)$/, 'wait'],
  [/(TooLate|Expired|DeadlineInvalid)$/, 'tooLate'],
  [/(Exists|Used|Known|Taken|AlreadySettled|AlreadyPublished)$/, 'done'],
  [/CallerInvalid$/, 'forbidden'],
  [/(SignatureInvalid|SignerInvalid|Unproven|ProofInvalid)$/, 'signature'],
  [/(CreditEmpty|DepositEmpty|FundingEmpty|WithdrawEmpty|UnbondEmpty)$/, 'funds'],
  [/(CapExceeded|TooHigh|TooLong|TooDeep|TooSmall|OutOfBounds|PriceUnagreed)$/, 'limit'],
  [/Unknown$/, 'unknown'],
  [/(StatusInvalid|StageInvalid|NotJudging)$/, 'state'],
  [/(Invalid|Mismatch|Malformed|Unsorted|Reserved|PayerNamed)$/, 'input'],
]

/**
 * What can be done about a custom error of a contract.
 * @returns undefined for a name that no rule covers, which a test rules out for the contracts of this repository
 */
export function findRevertKind(errorName: string): RevertKind | undefined {
  return rules.find(([pattern]) => pattern.test(errorName))?.[1]
}
