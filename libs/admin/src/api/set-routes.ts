import { memberId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance } from 'fastify';

import { setReport, type SetReport } from '../reports/set-report.js';
import { within } from '../within.js';
import type { AdminContext } from './context.js';
import { answers } from './responses.js';
import { nameParams, ref } from './schemas.js';

/** How long a member may take to say how it is. */
const statusMsMax = 2_000;
/** The other has to catch up and to become leader. */
const electMsMax = 12_000;

interface ByName {
  readonly name: string;
}

/** Members of broker sets: how they are, who leads, and what an operator may do about it. */
export function setRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, clock, log, peers, sets, requestMsMax } = context;
  const tags = ['cluster'];
  const setNamed = (name: string) => {
    const set = directory.brokerSet(name);
    if (!set) throw new MqError('NOT_FOUND', `there is no broker set "${name}"`);
    return set;
  };
  const report = (name: string): Promise<SetReport> => setReport(setNamed(name), peers, clock, statusMsMax);
  /** By its whole name, or by its place, where only one member is of it. */
  const memberNamed = (name: string, wanted: string) => {
    const members = setNamed(name).members.map(({ member }) => member);
    const found = members.filter((member) => member === wanted || member.startsWith(`${wanted}/`));
    if (found.length === 1) return memberId(found[0] as string);
    if (found.length > 1) {
      throw new MqError('CONFLICT', `"${wanted}" is the place of ${found.join(' and ')}: name one of them in full`);
    }
    throw new MqError('NOT_FOUND', `"${wanted}" is no member of ${name}; its members are ${members.join(', ')}`);
  };
  const alone = (): MqError => new MqError('UNSUPPORTED', 'this broker set has one member, in this process');
  /** The member that leads. @throws MqError UNAVAILABLE */
  const leaderOf = async (name: string) => {
    if (!peers) throw alone();
    const { members } = await report(name);
    const leader = members.find(({ leads }) => leads);
    if (!leader) throw new MqError('UNAVAILABLE', `nobody leads ${name}`);
    return peers.peer(leader.address);
  };

  app.get('/broker-sets', {
    schema: {
      operationId: 'listBrokerSets',
      tags,
      summary:
        'Every broker set as its members tell it: whether it is protected, who leads, and how far each member is behind.',
      response: answers({ status: 200, schema: 'BrokerSets', description: 'In order of their names.' }),
    },
    handler: async () => {
      const names = [...directory.brokerSets()].map(({ name }) => name).sort();
      return { brokerSets: await Promise.all(names.map(report)) };
    },
  });

  app.get<{ Params: ByName }>('/broker-sets/:name', {
    schema: {
      operationId: 'describeBrokerSet',
      tags,
      summary: 'One broker set as its members tell it.',
      params: nameParams('broker set'),
      response: answers({ status: 200, schema: 'BrokerSet', description: 'As it is now.' }, 404),
    },
    handler: ({ params }) => report(params.name),
  });

  app.post<{ Params: ByName; Body: { readonly to?: string } }>('/broker-sets/:name/election', {
    schema: {
      operationId: 'elect',
      tags,
      summary:
        'Has the leader hand over to another member that is in sync: the one that is named, or whichever is best. Clients ' +
        'notice nothing.',
      params: nameParams('broker set'),
      body: ref('Election'),
      response: answers({ status: 200, schema: 'BrokerSet', description: 'Another member leads.' }, 400, 404, 409),
    },
    handler: async ({ params: { name }, body: { to }, ip }) => {
      const wanted = to === undefined ? undefined : memberNamed(name, to);
      await within(clock, electMsMax, name, (await leaderOf(name)).elect(name, wanted));
      log.info({ peer: ip, brokerSet: name, to: wanted }, 'the lead of a broker set was handed over on request');
      return report(name);
    },
  });

  app.post<{ Params: ByName; Body: { readonly member: string } }>('/broker-sets/:name/replacement', {
    schema: {
      operationId: 'replaceMember',
      tags,
      summary:
        'The volume of a member is lost for good: the leader takes it out of the set, and the next one that has copied the ' +
        'log takes its place.',
      params: nameParams('broker set'),
      body: ref('Replacement'),
      response: answers({ status: 200, schema: 'BrokerSet', description: 'The member is out.' }, 400, 404, 409),
    },
    handler: async ({ params: { name }, body, ip }) => {
      const member = memberNamed(name, body.member);
      // Maybe the one that took the place of the lost one already, under the same name; taken out it would never be let in again.
      if (
        (await report(name)).members.some((each) => each.member === member && each.inSync && each.problem === undefined)
      ) {
        throw new MqError('CONFLICT', `${member} answers and is in sync: nothing of it is lost`);
      }
      await within(clock, electMsMax, name, (await leaderOf(name)).removeMember(name, member));
      log.warn(
        { peer: ip, brokerSet: name, member },
        'the volume of a member is lost: it is taken out of its broker set',
      );
      return report(name);
    },
  });

  app.post<{ Params: ByName; Body: { readonly member: string } }>('/broker-sets/:name/unclean-election', {
    schema: {
      operationId: 'electBeyond',
      tags,
      summary:
        'For when too few members come back: lets one lead alone, whatever the others have. What only they had is lost. The ' +
        'permission ends after five minutes.',
      params: nameParams('broker set'),
      body: ref('Replacement'),
      response: answers({ status: 200, schema: 'BeyondElection', description: 'It may lead.' }, 400, 404, 409),
    },
    handler: async ({ params: { name }, body, ip }) => {
      const member = memberNamed(name, body.member);
      if (!sets) throw alone();
      const { grade, from, untilMs } = await within(
        clock,
        requestMsMax,
        'the name service',
        sets.electBeyond(name, member),
      );
      log.warn({ peer: ip, brokerSet: name, member, grade, untilMs }, 'one member may lead its broker set alone');
      return { member, grade, ...(from !== undefined && { from }), untilMs };
    },
  });
}
