/** Taking a broker set out: no new messages for it, until what it holds is consumed; then it is in no route any more. */
import { type BrokerSet, type BrokerSetStage } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance } from 'fastify';

import { isEmpty, remainsText, type SetRemains } from '../reports/set-remains.js';
import { countRemains, putBack, putStage, takeOut } from '../scaling/taking-out.js';
import type { AdminContext } from './context.js';
import { answers } from './responses.js';
import { nameParams, ref } from './schemas.js';

/** How long an answer waits for this process's copy to show the stage. Later than that it shows up by itself. */
const shownMsMax = 1_000;

interface ByName {
  readonly name: string;
}

export function setStageRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, log } = context;
  const tags = ['cluster'];
  const setNamed = (name: string): BrokerSet => {
    const set = directory.brokerSet(name);
    if (!set) throw new MqError('NOT_FOUND', `there is no broker set "${name}"`);
    return set;
  };
  const remainsOf = (name: string): Promise<SetRemains> => countRemains(context, setNamed(name));
  const shows = async (name: string, stage: BrokerSetStage): Promise<void> => {
    const shown = (): true | undefined => (directory.brokerSet(name)?.stage === stage ? true : undefined);
    await directory.until(shown, shownMsMax, '').catch(() => undefined);
  };
  /** @throws MqError CONFLICT */
  const checkOthers = (name: string): void => {
    const others = [...directory.brokerSets()].filter((set) => set.name !== name && set.stage === 'serving');
    if (others.length > 0) return;
    throw new MqError('CONFLICT', `"${name}" is the only broker set that takes messages: no send would go anywhere`);
  };

  app.get<{ Params: ByName }>('/broker-sets/:name/remains', {
    schema: {
      operationId: 'describeRemains',
      tags,
      summary: 'What would be lost with a broker set: messages not consumed, delayed ones, and open transactions.',
      params: nameParams('broker set'),
      response: answers({ status: 200, schema: 'SetRemains', description: 'As it is now.' }, 404),
    },
    handler: ({ params }) => remainsOf(params.name),
  });

  app.put<{ Params: ByName; Body: { readonly stage: 'serving' | 'draining' } }>('/broker-sets/:name/stage', {
    schema: {
      operationId: 'setStage',
      tags,
      summary:
        'Which routes a broker set is in. draining: new messages go to the others, and what it holds is consumed; messages ' +
        'of a message group go on to it, so that their order holds. serving: as it was; one that was removed takes messages of ' +
        'message groups once those before them are consumed, and is joining until then.',
      params: nameParams('broker set'),
      body: ref('SetStageWanted'),
      response: answers({ status: 200, schema: 'SetStage', description: 'It has this stage.' }, 400, 404, 409),
    },
    handler: async ({ params: { name }, body: { stage }, ip }) => {
      const set = setNamed(name);
      if (stage !== 'serving') checkOthers(name);
      if (stage === 'draining') await putStage(context, name, stage);
      const next = stage === 'serving' ? await putBack(context, set) : stage;
      await shows(name, next);
      log.warn({ peer: ip, brokerSet: name, stage: next }, 'a broker set was given another stage');
      return { stage: next };
    },
  });

  app.delete<{ Params: ByName; Querystring: { readonly force?: 'true' | 'false' } }>('/broker-sets/:name', {
    schema: {
      operationId: 'removeBrokerSet',
      tags,
      summary:
        'Takes a broker set that is draining out of all routes: it may be stopped then. Refused while it holds messages that ' +
        'are not consumed, unless forced; the answer says what it held.',
      params: nameParams('broker set'),
      querystring: {
        type: 'object',
        additionalProperties: false,
        properties: {
          force: {
            type: 'string',
            enum: ['true', 'false'],
            description: 'Also while it holds messages, and while nobody leads it.',
          },
        },
      },
      response: answers({ status: 200, schema: 'SetRemoval', description: 'It is in no route.' }, 400, 404, 409),
    },
    handler: async ({ params: { name }, query, ip }) => {
      const force = query.force === 'true';
      const { stage } = setNamed(name);
      if (stage === 'gone') throw new MqError('CONFLICT', `broker set "${name}" is removed already`);
      checkOthers(name);
      if (stage !== 'draining' && !force) {
        throw new MqError('CONFLICT', `broker set "${name}" still takes messages: drain it first`);
      }
      let held = 'nothing';
      if (force) {
        const remains = await remainsOf(name).catch(() => undefined);
        held = remains ? remainsText(remains) : 'what nobody could count, as it does not answer';
        await putStage(context, name, 'gone');
      } else {
        const left = await takeOut(context, setNamed(name));
        if (left) {
          const what = isEmpty(left) ? 'messages that are under way' : remainsText(left);
          throw new MqError('CONFLICT', `broker set "${name}" still holds ${what}`);
        }
      }
      await shows(name, 'gone');
      log.warn({ peer: ip, brokerSet: name, force, held }, 'a broker set was removed from all routes');
      return { brokerSet: name, held };
    },
  });
}
