import { FoldingTimers } from '@cometmq/timers/testing';

import { nearMax, TimersBorder } from './timers-border.js';

const hour = 3_600_000;
const nowMs = 472_222 * hour;
const backlog = 400_000;
const firedPerTurn = 5_000;

// Goal: a backlog of delayed messages, however large, is delivered in order and goes through memory a part at a time. Method: many
// that were due in the last hours; each turn brings the border on and fires less than came near.
it('brings a backlog near a part at a time', () => {
  const log = new FoldingTimers();
  log.keepsLog = false;
  for (let i = 0; i < backlog; i += 1) {
    log.send(nowMs - 3 * hour + i * 25);
    if (i % 20_000 === 0) log.checkpoint();
  }
  log.checkpoint();
  const border = new TimersBorder({
    store: { coldPiece: (_, key) => log.cold.get(key) },
    timers: log.view,
    nowMs: () => nowMs,
  });
  let lastMs = 0;
  let mostNear = 0;
  let fired = 0;
  for (let turn = 0; fired < backlog; turn += 1) {
    if (turn > backlog) throw new Error(`${fired} were fired, and no more come near`);
    border.approach();
    mostNear = Math.max(mostNear, log.view.nearSize);
    for (let left = firedPerTurn; left > 0 && log.view.firstDueMs <= nowMs; left -= 1) {
      const timer = log.view.first();
      if (!timer || timer.dueMs < lastMs) throw new Error('one was fired out of order');
      lastMs = timer.dueMs;
      log.fire(timer);
      fired += 1;
    }
  }
  expect(log.view.size).toBe(0);
  expect(mostNear).toBeLessThan(nearMax * 1.5);
});
