export { lilypadApproval, type LilypadApprovalOptions } from './lilypad-approval.ts'
export { lilypadBudget, type LilypadBudgetOptions } from './lilypad-budget.ts'
