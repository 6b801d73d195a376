import { FakeKubernetes } from '@cometmq/rpc/testing';
import { MqError } from '@cometmq/shared';

import { stopReason } from './stop-reason.js';

describe('a pod that is told to stop', () => {
  const path = '/apis/apps/v1/namespaces/mq/statefulsets/mq-cometmq-broker-slave-1';
  const reasonOf = (object: object | undefined, pod = 'mq-cometmq-broker-slave-1-2', fault?: MqError) => {
    const kubernetes = new FakeKubernetes();
    if (object) kubernetes.objects.set(path, object as Record<string, unknown>);
    kubernetes.fault = fault;
    return stopReason(kubernetes, pod);
  };

  it.each([
    ['restarts while its StatefulSet wants it', { spec: { replicas: 3 } }, 'restart'],
    ['is scaled in when its ordinal is not wanted', { spec: { replicas: 2 } }, 'scaledIn'],
    ['counts from where its StatefulSet counts', { spec: { replicas: 2, ordinals: { start: 1 } } }, 'restart'],
    ['is stopped with all others when none is wanted', { spec: { replicas: 0 } }, 'stopped'],
    [
      'is stopped when its StatefulSet goes',
      { metadata: { deletionTimestamp: 'now' }, spec: { replicas: 3 } },
      'stopped',
    ],
    ['is stopped when its StatefulSet is gone', undefined, 'stopped'],
    ['restarts when the answer says nothing', { spec: 'what' }, 'restart'],
  ])('%s', async (_what, object, reason) => {
    expect(await reasonOf(object)).toBe(reason);
  });

  it('is stopped when its service account is gone, and restarts when nobody says why', async () => {
    const wants = { spec: { replicas: 1 } };
    expect(await reasonOf(wants, undefined, new MqError('UNAUTHORIZED', 'who?'))).toBe('stopped');
    expect(await reasonOf(wants, undefined, new MqError('FORBIDDEN', 'no'))).toBe('restart');
    expect(await reasonOf(wants, undefined, new MqError('UNAVAILABLE', 'away'))).toBe('restart');
    expect(await reasonOf(wants, 'not-of-a-set')).toBe('restart');
  });
});
