/** What a token lets its bearer do. */
export const scopes = ['lilypad:read', 'lilypad:spend'] as const
export type Scope = (typeof scopes)[number]
