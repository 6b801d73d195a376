// Goal: no call between processes without a rule of whose it is. Method: all services that are generated from our own files.
import { internal } from '@cometmq/proto';

import { processCallers } from './process-callers.js';

interface Definition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, { readonly name: string }>>;
}

const isDefinition = (one: unknown): one is Definition =>
  typeof one === 'object' && one !== null && 'fullName' in one && 'methods' in one;

it('each method of each service is some role’s', () => {
  const definitions = (Object.values(internal) as unknown[]).filter(isDefinition);
  expect(definitions.length).toBeGreaterThanOrEqual(6);
  const paths = definitions.flatMap(({ fullName, methods }) =>
    Object.values(methods).map(({ name }) => `/${fullName}/${name}`),
  );
  expect(paths.filter((path) => (processCallers.get(path) ?? []).length === 0)).toEqual([]);
  expect([...processCallers.keys()].sort()).toEqual(paths.sort());
});

it.each([
  ['/cometmq.v1.ReplicationService/Follow', ['broker']],
  ['/cometmq.v1.BrokerService/Exchange', ['proxy']],
  ['/cometmq.v1.NamingService/DeleteTopic', ['dashboard-api']],
])('%s is for %j alone', (path, roles) => expect(processCallers.get(path)).toEqual(roles));
