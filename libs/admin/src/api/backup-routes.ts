import type { FastifyInstance } from 'fastify';
import { MqError } from '@cometmq/shared';

import { askAll, changeAll } from '../reports/ask-all.js';
import { backupParams, backupsQuery } from './backup-schemas.js';
import type { AdminContext } from './context.js';
import { answers } from './responses.js';
import { ref } from './schemas.js';
import { whoAsks } from './who-asks.js';

const shownMax = 20;
/** Brokers ask their bucket. */
const listMsMax = 30_000;

interface Draft {
  readonly brokerSet?: string;
}

/** Backups of broker sets: each is made by the set's leader, under a name that is the same for all. */
export function backupRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, log, requestMsMax } = context;
  const tags = ['backups'];
  /** Which sets are meant. @throws MqError NOT_FOUND */
  const meant = ({ brokerSet }: Draft): ((name: string) => boolean) => {
    if (brokerSet === undefined) return () => true;
    if (!directory.brokerSet(brokerSet)) throw new MqError('NOT_FOUND', `there is no broker set "${brokerSet}"`);
    return (name) => name === brokerSet;
  };

  app.get<{ Querystring: { readonly max?: number } }>('/backups', {
    schema: {
      operationId: 'listBackups',
      tags,
      summary: 'Backups of all broker sets that their bucket holds whole, and those that are being made or looked at.',
      querystring: backupsQuery,
      response: answers({ status: 200, schema: 'Backups', description: 'In order of the names of the sets.' }, 400),
    },
    handler: async ({ query: { max = shownMax } }) => {
      const all = await askAll(directory, clock, listMsMax, (set) => brokers.backups.list(set, max));
      return {
        brokerSets: all.answers.map(({ brokerSet, answer: { backups, job } }) => ({
          brokerSet,
          backups,
          ...(job && { job }),
        })),
        missing: all.missing,
      };
    },
  });

  app.post<{ Body: Draft }>('/backups', {
    schema: {
      operationId: 'beginBackup',
      tags,
      summary:
        'Begins a backup of all broker sets, or of one. It goes on by itself: `GET /backups` says how far it is, and shows it ' +
        'once it is whole.',
      body: ref('BackupDraft'),
      response: answers({ status: 202, schema: 'BackupBegun', description: 'It has begun.' }, 400, 404, 409),
    },
    handler: async (request, reply) => {
      const id = nameOf(clock.wallMs());
      const begin = (set: string): Promise<void> => brokers.backups.begin(set, id);
      const all = await changeAll(directory, clock, requestMsMax, begin, meant(request.body));
      const brokerSets = all.answers.map(({ brokerSet }) => brokerSet);
      log.info({ peer: request.ip, who: whoAsks(request), backup: id, brokerSets }, 'a backup was begun');
      return reply.code(202).send({ id, brokerSets, missing: all.missing });
    },
  });

  app.post<{ Params: { readonly id: string }; Body: Draft }>('/backups/:id/verification', {
    schema: {
      operationId: 'verifyBackup',
      tags,
      summary:
        'Reads all of a backup again, to see whether each byte of it is there. It goes on by itself: `GET /backups` says what ' +
        'was found.',
      params: backupParams,
      body: ref('BackupDraft'),
      response: answers({ status: 202, schema: 'BackupBegun', description: 'It has begun.' }, 400, 404, 409),
    },
    handler: async (request, reply) => {
      const { id } = request.params;
      const verify = (set: string): Promise<void> => brokers.backups.verify(set, id);
      const all = await changeAll(directory, clock, requestMsMax, verify, meant(request.body));
      const brokerSets = all.answers.map(({ brokerSet }) => brokerSet);
      log.info({ peer: request.ip, who: whoAsks(request), backup: id, brokerSets }, 'a backup is looked through');
      return reply.code(202).send({ id, brokerSets, missing: all.missing });
    },
  });
}

/** A second's. */
function nameOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}
