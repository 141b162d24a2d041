/** A build that cannot go on, with what to do about it. Printed without a stack. */
export class BuildFailure extends Error {}
