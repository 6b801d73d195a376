import type { Bench } from './bench.js';
import { append } from './benches/append.js';
import { backlog } from './benches/backlog.js';
import { compaction } from './benches/compaction.js';
import { delay } from './benches/delay.js';
import { delayWaiting } from './benches/delay-waiting.js';
import { deliveryState } from './benches/delivery-state.js';
import { fifo } from './benches/fifo.js';
import { find } from './benches/find.js';
import { frontDoor } from './benches/front-door.js';
import { handOver } from './benches/hand-over.js';
import { inFlight } from './benches/in-flight.js';
import { lists } from './benches/lists.js';
import { liteTopics } from './benches/lite-topics.js';
import { longPoll } from './benches/long-poll.js';
import { manyQueues } from './benches/many-queues.js';
import { noisyUser } from './benches/noisy-user.js';
import { policies } from './benches/policies.js';
import { receive } from './benches/receive.js';
import { recovery } from './benches/recovery.js';
import { replicas } from './benches/replicas.js';
import { sqlFilters } from './benches/sql-filters.js';
import { start } from './benches/start.js';
import { transactions } from './benches/transactions.js';
import { users } from './benches/users.js';
import { wrongCredentials } from './benches/wrong-credentials.js';

/** In the order they run. */
export const benches: readonly Bench[] = [
  append,
  manyQueues,
  liteTopics,
  compaction,
  deliveryState,
  frontDoor,
  users,
  policies,
  wrongCredentials,
  noisyUser,
  receive,
  fifo,
  longPoll,
  inFlight,
  sqlFilters,
  start,
  backlog,
  find,
  lists,
  recovery,
  delay,
  delayWaiting,
  transactions,
  replicas,
  handOver,
];
