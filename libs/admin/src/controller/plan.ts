/**
 * What is to be done next for one resource, from what it asks for and what there is: decided here, done elsewhere. It is asked
 * again after each step, so that nothing depends on what happened before, or on which process did it.
 */

/** One field that is not as it is asked for. */
export interface Difference {
  readonly field: string;
  readonly is: unknown;
  readonly wanted: unknown;
  /** It is fixed once and for all. */
  readonly fixed?: boolean | undefined;
}

/** What there is by the name that the resource asks for. */
export interface Found {
  /** Of this one, and no other that had its name before or will have it. */
  readonly identity: number;
  readonly differences: readonly Difference[];
  /** One that is as it is asked for may be taken over by whoever asks. False: it gives away what not everybody may know. */
  readonly adoptable: boolean;
}

export interface Facts {
  /** `topic "orders"`. */
  readonly what: string;
  /** What this generation asks for was in effect at the last look. */
  readonly settled: boolean;
  /** It is to be deleted. */
  readonly deleting: boolean;
  /** What stands between the wish to delete it and its end: nobody else removes it. */
  readonly hasFinalizer: boolean;
  /** Why what it asks for can't be. */
  readonly fault: string | undefined;
  /** Another resource that has asked for the same name before. */
  readonly rival: string | undefined;
  /** Identity of what it has made or adopted. */
  readonly owned: number | undefined;
  readonly found: Found | undefined;
  /** What it owned was deleted by somebody else and can be brought back. */
  readonly restorable: boolean;
  /** What stands in the way of all else, beside it. */
  readonly blocked: Verdict | undefined;
  /** What has to be there before it is not, or not as it should be. */
  readonly unprepared: boolean;
  /** It may take over what is there, whatever that is like. */
  readonly adopts: boolean;
  /** What it owns stays when it is deleted. */
  readonly keeps: boolean;
  readonly deletesWithBacklog: boolean;
  /** It is to be seen for a moment first what else is deleted. */
  readonly settling: boolean;
  /** What would be lost with it, in words; empty: nothing. Undefined: nobody has counted. */
  readonly backlog: string | undefined;
}

export type Step =
  | { readonly do: 'addFinalizer' | 'removeFinalizer' | 'prepare' | 'create' | 'restore' | 'adopt' }
  | { readonly do: 'delete' | 'count' }
  | { readonly do: 'nothing' }
  | { readonly do: 'change'; readonly differences: readonly Difference[]; readonly drift: boolean }
  | ({ readonly do: 'say' } & Verdict);

/** The Ready condition. */
export interface Verdict {
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
  /** Nothing will tell when that is over: it is looked at again after so long. */
  readonly againMs?: number | undefined;
  /** It is no event. */
  readonly quiet?: boolean;
}

const lookAgainMs = 10_000;
const settleMs = 3_000;
export const deletingReason = 'Deleting';
export const backlogReason = 'Backlog';

export const annotations = {
  adopt: 'cometmq.io/adopt',
  deleteWithBacklog: 'cometmq.io/delete-with-backlog',
  rotate: 'cometmq.io/rotate-secret',
} as const;

export function nextStep(facts: Facts): Step {
  return facts.deleting ? deletion(facts) : care(facts);
}

function deletion(facts: Facts): Step {
  const { what, hasFinalizer, keeps, owned, found, backlog, deletesWithBacklog, settling } = facts;
  if (!hasFinalizer) return { do: 'nothing' };
  if (keeps || !found || found.identity !== owned) return { do: 'removeFinalizer' };
  if (deletesWithBacklog) return { do: 'delete' };
  if (settling) {
    const message = `${what} is being deleted`;
    return { do: 'say', ready: false, reason: deletingReason, message, againMs: settleMs, quiet: true };
  }
  if (backlog === undefined) return { do: 'count' };
  if (backlog === '') return { do: 'delete' };
  return {
    ...{ do: 'say', ready: false, reason: backlogReason, againMs: lookAgainMs },
    message: `${what} is not deleted yet: ${backlog}. The annotation ${annotations.deleteWithBacklog}: "true" deletes it all the same`,
  };
}

function care(facts: Facts): Step {
  const { what, hasFinalizer, fault, rival, owned, found, blocked } = facts;
  if (fault !== undefined) return refusal('Invalid', fault);
  if (rival !== undefined) return refusal('NameTaken', `${rival} asks for ${what} already, and is older`, lookAgainMs);
  if (!hasFinalizer) return { do: 'addFinalizer' };
  if (found && !isOurs(facts, found)) return refusal('AlreadyExists', takenText(what, found), lookAgainMs);
  if (blocked) return { do: 'say', ...blocked };
  if (facts.unprepared) return { do: 'prepare' };
  if (!found) return { do: facts.restorable ? 'restore' : 'create' };
  if (found.identity !== owned) return { do: 'adopt' };
  const { differences } = found;
  const fixed = differences.filter((each) => each.fixed);
  if (fixed.length > 0) return refusal('Immutable', `can not be changed: ${differenceText(fixed)}`);
  if (differences.length > 0) return { do: 'change', differences, drift: facts.settled };
  return { do: 'say', ready: true, reason: 'Ready', message: `${what} is as it is asked for` };
}

function isOurs({ owned, adopts }: Facts, { identity, adoptable, differences }: Found): boolean {
  return identity === owned || adopts || (adoptable && differences.length === 0);
}

function takenText(what: string, { adoptable, differences }: Found): string {
  const why = adoptable
    ? `which is not as this resource asks: ${differenceText(differences)}`
    : 'which this resource did not make';
  return `there is a ${what} already, ${why}. The annotation ${annotations.adopt}: "true" takes it over`;
}

function refusal(reason: string, message: string, againMs?: number): Step {
  return { do: 'say', ready: false, reason, message, againMs };
}

/** `retentionMs is 60000 instead of 120000, …`. */
export function differenceText(differences: readonly Difference[]): string {
  return differences
    .map(({ field, is, wanted }) => `${field} is ${valueText(is)} instead of ${valueText(wanted)}`)
    .join(', ');
}

/** The same once it is changed: `retentionMs was 60000 and is 120000 now`. */
export function changeText(differences: readonly Difference[], drift: boolean): string {
  const when = drift ? 'again' : 'now';
  return differences
    .map(({ field, is, wanted }) => `${field} was ${valueText(is)} and is ${valueText(wanted)} ${when}`)
    .join(', ');
}

function valueText(value: unknown): string {
  if (value === undefined) return 'not set';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
