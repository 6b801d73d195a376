import { Inbox } from './inbox.js';

const fail = (caught: unknown): never => {
  throw caught;
};

describe('an inbox', () => {
  it('carries out at once what waits for nothing, and keeps the rest in order', async () => {
    const done: string[] = [];
    const inbox = new Inbox(fail);
    const note = (what: string) => () => {
      done.push(what);
      return undefined;
    };
    inbox.put(note('a'));
    expect(done).toEqual(['a']);
    const { promise, resolve } = Promise.withResolvers<void>();
    inbox.put(() => promise);
    inbox.put(note('b'));
    inbox.put(note('c'));
    expect(done).toEqual(['a']);
    resolve();
    await promise;
    await Promise.resolve();
    expect(done).toEqual(['a', 'b', 'c']);
  });

  it('drops what waits once it is closed, or something failed, which is told', async () => {
    const failures: unknown[] = [];
    const inbox = new Inbox((caught) => failures.push(caught));
    const done: string[] = [];
    inbox.put(() => Promise.reject(new Error('no')));
    inbox.put(() => {
      done.push('after');
      return undefined;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(failures).toEqual([new Error('no')]);
    inbox.put(() => {
      done.push('later');
      return undefined;
    });
    expect(done).toEqual([]);
  });
});
