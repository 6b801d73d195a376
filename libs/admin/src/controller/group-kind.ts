import { isDeepStrictEqual } from 'node:util';

import type { GroupChange } from '@cometmq/client';
import type { ConsumerGroup } from '@cometmq/model';
import { counted, MqError } from '@cometmq/shared';

import { change, looksLike, type ChangeContext } from '../api/changes.js';
import type { AdminContext } from '../api/context.js';
import { askAll } from '../reports/ask-all.js';
import { groupReport, groupView } from '../reports/group-report.js';
import { lookAtAbsence } from './absence.js';
import { askerOf, nameIn, type Kind, type Look } from './kinds.js';
import type { Difference } from './plan.js';
import type { Resource } from './resource.js';
import { groupSpec } from './spec-schemas.js';

type GroupContext = ChangeContext & Pick<AdminContext, 'brokers'>;

/** A spec that was found to be as its schema says. */
type GroupSpec = Omit<GroupChange, 'pausedUntilMs'>;

const settings = ['fifo', 'attemptsMax', 'retryPolicy', 'start', 'priorityFactor'] as const;

export class GroupKind implements Kind {
  readonly kind = 'CometGroup';
  readonly plural = 'cometgroups';
  readonly noun = 'consumer group';
  readonly schema = groupSpec;
  readonly settles = true;

  /** @param leaving names of topics whose resources are being deleted */
  constructor(
    private readonly context: GroupContext,
    private readonly leaving: () => ReadonlySet<string>,
  ) {}

  async look(resource: Resource): Promise<Look> {
    const group = this.context.directory.group(nameIn(resource));
    if (group) return { found: { identity: group.id, differences: differencesOf(group, resource), adoptable: true } };
    return lookAtAbsence(this.context, 'group', resource);
  }

  async create(resource: Resource): Promise<number> {
    const { directory } = this.context;
    const draft = { ...settingsOf(resource), name: nameIn(resource) };
    const made = await change(
      this.context,
      (nameService) => nameService.createGroup(draft),
      ({ id }) => directory.groupById(id) !== undefined,
    );
    return made.id;
  }

  async change(resource: Resource, fields: readonly string[]): Promise<readonly string[]> {
    const { directory } = this.context;
    await change(
      this.context,
      (nameService) => nameService.updateGroup(nameIn(resource), settingsOf(resource)),
      (made) => {
        const shown = directory.groupById(made.id);
        return shown !== undefined && looksLike(groupView(shown), groupView(made));
      },
    );
    return fields;
  }

  async delete(resource: Resource, identity: number): Promise<void> {
    const { directory } = this.context;
    await change(
      this.context,
      (nameService) => nameService.deleteGroup(nameIn(resource), { who: askerOf(this, resource) }),
      () => directory.group(nameIn(resource))?.id !== identity,
    );
  }

  async restore(resource: Resource, identity: number): Promise<void> {
    const { directory } = this.context;
    await change(
      this.context,
      (nameService) => nameService.restore('group', identity, { who: askerOf(this, resource) }),
      () => directory.group(nameIn(resource))?.id === identity,
    );
  }

  /**
   * What it has still to do. Of topics that are on their way out it says so as well: without their groups, all that they keep
   * would count as not consumed.
   */
  async backlog(resource: Resource, identity: number): Promise<string> {
    const { directory, brokers, clock, requestMsMax } = this.context;
    const group = directory.group(nameIn(resource));
    if (group?.id !== identity) return '';
    const asked = await askAll(directory, clock, requestMsMax, (set) => brokers.describeGroup(set, group.id));
    const [missing] = asked.missing;
    if (missing)
      throw new MqError('UNAVAILABLE', `broker set ${missing.brokerSet} does not say what the group has done`);
    const { lag, queues } = groupReport(group, (id) => directory.topicById(id)?.name, asked);
    if (lag > 0) return `it has not consumed ${counted(lag, 'message')}`;
    const leaving = queues.find(({ topic }) => this.leaving().has(topic));
    return leaving ? `topic "${leaving.topic}", which it consumes, is being deleted and goes first` : '';
  }
}

function settingsOf({ spec }: Resource): GroupSpec {
  const { name: _name, deletionPolicy: _policy, release: _release, ...rest } = spec;
  return rest;
}

/** What the spec leaves out may be as it is. */
function differencesOf(group: ConsumerGroup, resource: Resource): Difference[] {
  const spec = settingsOf(resource);
  const view = groupView(group);
  const differences: Difference[] = [];
  for (const field of settings) {
    const [wanted, is] = [spec[field], view[field]];
    if (wanted !== undefined && !isDeepStrictEqual(is, wanted)) differences.push({ field, is, wanted });
  }
  const lite: Readonly<Record<string, unknown>> = { ...view.lite };
  for (const [name, wanted] of Object.entries(spec.lite ?? {})) {
    const fixed = name === 'topic' && view.lite !== undefined;
    if (lite[name] !== wanted) differences.push({ field: `lite.${name}`, is: lite[name], wanted, fixed });
  }
  return differences;
}
