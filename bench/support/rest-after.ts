/** `--rest-after` of the programs that run in virtual time: workers find it in their environment. */
const VARIABLE = 'REST_AFTER_MS';

/** How it is described. */
export const REST_AFTER_HELP = 'connections rest after so long without packets; 0 at once, -1 never';

/** Hands it on to the workers to come. */
export function setRestAfter(restAfter: string | undefined): void {
  if (restAfter !== undefined) process.env[VARIABLE] = restAfter;
}

/** What stacks are told of it. */
export const restOptions = (): { readonly restAfterMs?: number } => {
  const value = process.env[VARIABLE];
  return value === undefined ? {} : { restAfterMs: Number(value) };
};

/** The argument that was given, for a command that repeats a run; empty where none was. */
export const restArgument = (): string => {
  const value = process.env[VARIABLE];
  return value === undefined ? '' : ` --rest-after ${value}`;
};
