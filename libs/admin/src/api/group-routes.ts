import type { FastifyInstance } from 'fastify';
import type { GroupChange, LiteGroupDraft } from '@cometmq/client';
import { printable, type ConsumerGroup, type GroupStart, type RetryPolicy } from '@cometmq/model';
import { inTurn, MqError } from '@cometmq/shared';

import { AskRound } from '../reports/ask-all.js';
import { groupReport, progressOf, groupView, type GroupItem, type GroupReport } from '../reports/group-report.js';
import { sees } from './access-rules.js';
import { change, looksLike } from './changes.js';
import type { AdminContext } from './context.js';
import { pageOf, type Page, type PageQuery } from './paging.js';
import { deletionQuery, type DeletionQuery } from './deleted-routes.js';
import { answers } from './responses.js';
import { groupListQuery, nameParams, ref } from './schemas.js';
import { whoAsks } from './who-asks.js';

interface GroupSettingsBody {
  readonly fifo?: boolean;
  readonly attemptsMax?: number;
  readonly retryPolicy?: RetryPolicy;
  readonly start?: GroupStart;
  readonly priorityFactor?: number;
  readonly lite?: LiteGroupDraft;
}
interface GroupDraftBody extends GroupSettingsBody {
  readonly name: string;
}
interface GroupListQuery extends PageQuery {
  readonly progress?: 'true' | 'false';
}
interface ByName {
  readonly name: string;
}

/** Groups of one page whose progress is asked for at once. */
const askedAtOnce = 8;

export function groupRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, requestMsMax, log } = context;
  const tags = ['groups'];
  const found = (name: string): ConsumerGroup => {
    const group = directory.group(name);
    if (!group) throw new MqError('CONSUMER_GROUP_NOT_FOUND', `there is no consumer group "${printable(name)}"`);
    return group;
  };

  const report = async (
    group: ConsumerGroup,
    round = new AskRound(directory, clock, requestMsMax),
  ): Promise<GroupReport> => {
    const answered = await round.all((set) => brokers.describeGroup(set, group.id));
    return groupReport(group, (id) => directory.topicById(id)?.name, answered);
  };

  app.get<{ Querystring: GroupListQuery }>('/groups', {
    schema: {
      operationId: 'listGroups',
      tags,
      summary: 'Consumer groups in the order of their names.',
      querystring: groupListQuery,
      response: answers({ status: 200, schema: 'GroupPage', description: 'One page.' }, 400),
    },
    handler: async (request): Promise<Page<GroupItem>> => {
      const { query } = request;
      const views = [...directory.groups()].filter(({ name }) => sees(request, 'group', name)).map(groupView);
      const page = pageOf(views, query);
      if (query.progress !== 'true') return page;
      const round = new AskRound(directory, clock, requestMsMax);
      const items = await inTurn(page.items, askedAtOnce, async (item) => {
        const group = directory.group(item.name);
        if (!group) return item; // Deleted a moment ago.
        return { ...item, progress: progressOf(await report(group, round)) };
      });
      return { ...page, items };
    },
  });

  app.post<{ Body: GroupDraftBody }>('/groups', {
    schema: {
      operationId: 'createGroup',
      tags,
      summary: 'Creates a consumer group.',
      body: ref('GroupDraft'),
      response: answers({ status: 201, schema: 'Group', description: 'Created.' }, 400, 409),
    },
    handler: async ({ body, ip }, reply) => {
      const group = await change(
        context,
        (nameService) => nameService.createGroup(body),
        ({ id }) => directory.groupById(id) !== undefined,
      );
      log.info({ peer: ip, group: group.name }, 'consumer group created');
      return reply
        .code(201)
        .header('location', `/api/v1/groups/${encodeURIComponent(group.name)}`)
        .send(groupView(group));
    },
  });

  app.get<{ Params: ByName }>('/groups/:name', {
    schema: {
      operationId: 'describeGroup',
      tags,
      summary: 'A consumer group, its progress in each queue and its members.',
      params: nameParams('consumer group'),
      response: answers({ status: 200, schema: 'GroupDescription', description: 'The group.' }, 404),
    },
    handler: async ({ params }) => {
      return report(found(params.name));
    },
  });

  app.patch<{ Params: ByName; Body: GroupSettingsBody }>('/groups/:name', {
    schema: {
      operationId: 'updateGroup',
      tags,
      summary: 'Changes the settings given; the others stay.',
      params: nameParams('consumer group'),
      body: ref('GroupChange'),
      response: answers({ status: 200, schema: 'Group', description: 'The group as it is now.' }, 400, 404, 409),
    },
    handler: async ({ params, body, ip }) => {
      const group = await change(
        context,
        (nameService) => nameService.updateGroup(params.name, body satisfies GroupChange),
        (made) => {
          const shown = directory.groupById(made.id);
          return shown !== undefined && looksLike(groupView(shown), groupView(made));
        },
      );
      log.info({ peer: ip, group: group.name, change: body }, 'consumer group changed');
      return groupView(group);
    },
  });

  app.delete<{ Params: ByName; Querystring: DeletionQuery }>('/groups/:name', {
    schema: {
      operationId: 'deleteGroup',
      tags,
      summary: 'Deletes a consumer group with all its progress. It can be restored for a grace time.',
      params: nameParams('consumer group'),
      querystring: deletionQuery,
      response: answers({ status: 204, description: 'Deleted.' }, 404),
    },
    handler: async (request, reply) => {
      const { params, ip } = request;
      const known = directory.group(params.name);
      const how = { now: request.query.now === 'true', who: whoAsks(request) };
      await change(
        context,
        (nameService) => nameService.deleteGroup(params.name, how),
        () => !known || directory.groupById(known.id) === undefined,
      );
      log.info({ peer: ip, group: params.name }, 'consumer group deleted');
      return reply.code(204).send();
    },
  });
}
