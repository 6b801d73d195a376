// Goal: what is printed at the start works as printed. Method: the usual port, which comet knows, and another.
import { firstSteps } from './first-steps.js';

it('names the endpoint where it is not the usual one', () => {
  expect(firstSteps('comet', '127.0.0.1:8081').slice(0, 2)).toEqual([
    'Send a first message:  comet send greetings "Hello"',
    'Receive it:            comet receive greetings --group readers',
  ]);
  expect(firstSteps('npm run comet --', '127.0.0.1:18081').slice(0, 2)).toEqual([
    'Send a first message:  npm run comet -- send greetings "Hello" --endpoint 127.0.0.1:18081',
    'Receive it:            npm run comet -- receive greetings --group readers --endpoint 127.0.0.1:18081',
  ]);
});
