import { MqError } from './errors.js';
import { ToldOnce } from './told-once.js';

it('tells what fails once for each reason, and again once it had gone well', () => {
  const told: string[] = [];
  const once = new ToldOnce<string>((caught, key) => told.push(`${key}: ${MqError.from(caught).reason}`));
  const fail = (key: string, reason: string): void => once.failed(new MqError('UNAVAILABLE', reason), key);
  for (let i = 0; i < 3; i += 1) fail('a', 'away');
  fail('b', 'away');
  expect(told.splice(0)).toEqual(['a: away', 'b: away']);
  fail('a', 'slow');
  fail('a', 'slow');
  fail('a', 'away');
  expect(told.splice(0)).toEqual(['a: slow', 'a: away']);
  once.over('a');
  fail('a', 'away');
  fail('b', 'away');
  expect(told.splice(0)).toEqual(['a: away']);
  once.keep((key) => key === 'a');
  fail('a', 'away');
  fail('b', 'away');
  expect(told).toEqual(['b: away']);
});
