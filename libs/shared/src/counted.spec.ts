// Goal: one is said as one. Method: none, one and two of a thing, with and without a word of its own for many.
import { counted } from './counted.js';

it.each([
  [0, '0 members', '0 policies apply'],
  [1, '1 member', '1 policy applies'],
  [2, '2 members', '2 policies apply'],
])('says %i of a thing', (count, plain, own) => {
  expect(counted(count, 'member')).toBe(plain);
  expect(counted(count, 'policy applies', 'policies apply')).toBe(own);
});
