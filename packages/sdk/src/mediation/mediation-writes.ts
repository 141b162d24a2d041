import { mediationAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('mediation', mediationAbi)

/** Disputes a claim while its window is open; takes the bond from the sender. */
export const openDispute = write('openDispute', 'CaseOpened')

/** Audits a paid job that its own secret selects; the audit pool pays the mediators. */
export const openAudit = write('openAudit', 'CaseOpened')

/** Appeals: to a panel of three, and from a panel to governance. Takes the bond from the sender. A mediator's mismatch calls the panel by itself. */
export const appealCase = write('appeal', 'CaseAppealed')

/** Rules the last appeal; governance only. */
export const ruleCase = write('rule', 'CaseRuled')

/** Carries out a final verdict; anyone may send it. */
export const closeCase = write('closeCase', 'CaseClosed')

/** Slashes a solver that signed two reservations with one sequence number. */
export const proveEquivocation = write('proveEquivocation', 'EquivocationProven')

/** Gives tokens for audits. */
export const fundAudits = write('fundAudits', 'AuditPoolChanged')

/** Sends fees and bonds that belong to the sender. */
export const withdrawMediationCredit = write('withdrawCredit', 'MediationCreditWithdrawn')

/** Sends them to another account. */
export const withdrawMediationCreditTo = write('withdrawCreditTo', 'MediationCreditWithdrawn')

/** Sends the credit of any account to that account. */
export const pushMediationCredit = write('pushCredit', 'MediationCreditWithdrawn')
