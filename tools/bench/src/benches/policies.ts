import { type Bench, type Figure } from '../bench.js';

/** The decisions that each call asks for, among many users. */
export const policies: Bench = {
  name: 'policies',
  about: 'whether a user may send to a topic, among 10,000 users of ten policies each: the first time, and again',
  async run({ quick, inProcess, say }): Promise<readonly Figure[]> {
    say('decisions');
    const found = await inProcess('decisions', { users: quick ? 500 : 10_000, policies: 10 });
    return [
      { what: 'a decision, the first', value: found.firstMicros, unit: 'µs', atMost: 50 },
      { what: 'a decision, again', value: found.againMicros, unit: 'µs', atMost: 2 },
      { what: 'decided wrongly', value: found.wrong, unit: 'decisions', atMost: 0 },
    ];
  },
};
