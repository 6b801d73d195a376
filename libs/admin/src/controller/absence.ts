/** Why a topic or group that a resource has made is not there: deleted by somebody, or lost with the metadata. */
import { askAll } from '../reports/ask-all.js';
import type { AdminContext } from '../api/context.js';
import { within } from '../within.js';
import { type Look, nameIn } from './kinds.js';
import type { Verdict } from './plan.js';
import type { Resource } from './resource.js';

type AbsenceContext = Pick<AdminContext, 'nameService' | 'directory' | 'brokers' | 'clock' | 'requestMsMax'>;

const lookAgainMs = 10_000;

/**
 * What is not there though nobody has deleted it may be in brokers' logs still, and come back with the metadata when an operator
 * lets them bring it. One made anew under its name would be in the way of that.
 */
export async function lookAtAbsence(
  context: AbsenceContext,
  kind: 'topic' | 'group',
  resource: Resource,
): Promise<Look> {
  const { nameService, directory, clock, requestMsMax } = context;
  const { id } = resource.status;
  if (id === undefined) return { found: undefined };
  const { retired } = await within(clock, requestMsMax, 'the name service', nameService.retired());
  if (retired.some((each) => each.kind === kind && each.id === id && each.name === nameIn(resource)))
    return { found: undefined, restorable: true };
  const deleted = kind === 'topic' ? directory.deleted.topics : directory.deleted.groups;
  if (deleted.some((each) => each.id === id)) return { found: undefined };
  return { found: undefined, blocked: await metadataLost(context, `${kind} ${id}`) };
}

/** Undefined: all brokers say that the metadata is their own. */
async function metadataLost(context: AbsenceContext, what: string): Promise<Verdict | undefined> {
  const { directory, brokers, clock, requestMsMax } = context;
  const { answers, missing } = await askAll(directory, clock, requestMsMax, (set) => brokers.describe(set));
  const why =
    missing.map(({ brokerSet, detail }) => `${brokerSet}: ${detail}`).at(0) ??
    answers
      .flatMap(({ brokerSet, answer }) => (answer.metadataProblem ? `${brokerSet}: ${answer.metadataProblem}` : []))
      .at(0) ??
    (answers.length === 0 ? 'there is no broker set' : undefined);
  if (why === undefined) return undefined;
  const message = `${what} is not there though nobody has deleted it, and the metadata may be lost (${why}): it is not made anew before all broker sets know the metadata for theirs`;
  return { ready: false, reason: 'MetadataLost', message, againMs: lookAgainMs };
}
