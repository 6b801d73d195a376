/** The CPU time it takes to decide whether users of ten policies may send, the first time and again. */
import { IdentityBook, resourceIn, Secret, SecretBox } from '@cometmq/auth';
import type { PolicyEntry, User } from '@cometmq/model';
import { systemClock as clock } from '@cometmq/shared';

export interface DecisionsJob {
  readonly users: number;
  readonly policies: number;
}

export interface DecisionsFigures {
  readonly firstMicros: number;
  readonly againMicros: number;
  /** Of those that had to be allowed, and of those that had to be denied. */
  readonly wrong: number;
}

const rounds = 20;

export async function decide({ users, policies }: DecisionsJob): Promise<DecisionsFigures> {
  const box = SecretBox.of(SecretBox.newFile('k1'));
  const secret = box.seal(new Secret('the secret of all of them'), 'all');
  const people = Array.from({ length: users }, (_, i): User => {
    return { name: `user-${i}`, kind: 'normal', enabled: true, secret, secretVersion: 1, createdMs: 0 };
  });
  const book = new IdentityBook({
    box,
    clock,
    source: {
      watch: (listener) => {
        listener({
          ...{ kind: 'snapshot', revision: 1, source: { clusterId: 'bench', generation: 1, replaced: [] } },
          ...{ users: people, revoked: [] },
          policies: people.map(({ name }) => ({ user: name, entries: entriesOf(name, policies) })),
        });
        return () => undefined;
      },
    },
  });
  await book.start();
  let wrong = 0;
  const decideAll = (): number => {
    const start = process.cpuUsage();
    for (const { name } of people) {
      const principal = book.principal(name);
      if (principal?.may(['pub'], 'topic', `orders-of-${name}`, '10.0.0.1:1') !== true) wrong += 1;
      if (principal?.may(['pub'], 'topic', 'of-somebody-else', '10.0.0.1:1') !== false) wrong += 1;
    }
    const { user, system } = process.cpuUsage(start);
    return (user + system) / (2 * people.length);
  };
  const firstMicros = decideAll();
  let againMicros = Infinity;
  for (let i = 0; i < rounds; i += 1) againMicros = Math.min(againMicros, decideAll());
  await book.stop();
  return { firstMicros, againMicros, wrong };
}

/** The one that allows is looked at last. */
function entriesOf(user: string, count: number): PolicyEntry[] {
  const entry = (topic: string, decision: PolicyEntry['decision']): PolicyEntry => ({
    ...{ policy: 'custom', resource: resourceIn(`Topic:${topic}`), actions: ['pub'], sourceIps: [], decision },
  });
  const others = Array.from({ length: count - 1 }, (_, i) => entry(`another-topic-with-a-long-name-${i}-*`, 'deny'));
  return [...others, entry(`orders-of-${user}*`, 'allow')];
}
