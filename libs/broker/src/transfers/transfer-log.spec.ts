import { epoch, logPosition as at } from '@cometmq/model';

import { transferLog } from './transfer-log.js';

// Goal: what a set sends again is known by the other, and what it sends after its log was set back is not taken for it.
const before = [
  { epoch: epoch(1), start: at(200) },
  { epoch: epoch(3), start: at(3_000) },
];

it('is the same for whoever leads later', () => {
  const later = [...before, { epoch: epoch(4), start: at(9_000) }];
  expect(transferLog(7, 1, later, at(5_000))).toBe(transferLog(7, 1, before, at(5_000)));
});

it('is another one where the log was set back, or is another set’s', () => {
  const known = transferLog(7, 1, before, at(5_000));
  const [first] = before as [(typeof before)[number]];
  const others = [
    transferLog(8, 1, before, at(5_000)),
    transferLog(7, 1, [first, { epoch: epoch(4), start: at(3_000) }], at(5_000)), // The same cluster goes on.
    transferLog(7, 1, [first, { epoch: epoch(3), start: at(2_500) }], at(5_000)), // A new etcd begins anew with epochs.
    transferLog(7, 2, before, at(5_000)), // The same, of a backup right before the epoch.
  ];
  expect(others).not.toContain(known);
});
