/** What a benchmark is to reach: a bound on our own figure, or on its ratio to the reference. */
export type Goal =
  | { readonly of: 'ours' | 'ratio'; readonly atMost: number }
  | { readonly of: 'ours' | 'ratio'; readonly atLeast: number }

/** The goal in words, such as `ratio <= 0.25`. */
export function describeGoal(goal: Goal): string {
  return 'atMost' in goal ? `${goal.of} <= ${goal.atMost}` : `${goal.of} >= ${goal.atLeast}`
}

/** Whether figures reach the goal. */
export function isMet(goal: Goal, figures: { readonly ours: number; readonly ratio: number }): boolean {
  const figure = figures[goal.of]
  return 'atMost' in goal ? figure <= goal.atMost : figure >= goal.atLeast
}
