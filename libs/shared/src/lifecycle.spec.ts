// Goal: parts start in order, stop in the other, and a stop is heeded whenever it comes. Method: parts that note what
// is done to them.
import { MqError } from './errors.js';
import { run, type Component } from './lifecycle.js';

describe('run', () => {
  let done: string[];
  let stop: () => void;
  let until: Promise<void>;

  beforeEach(() => {
    done = [];
    until = new Promise((resolve) => (stop = resolve));
  });

  function part(name: string, start: () => Promise<void> = () => Promise.resolve()): Component {
    return {
      name,
      start: () => {
        done.push(`start ${name}`);
        return start();
      },
      stop: () => Promise.resolve(void done.push(`stop ${name}`)),
    };
  }

  it('starts down the list and stops back up it', async () => {
    await run([part('a'), part('b')], until, () => {
      done.push('ready');
      stop();
    });
    expect(done).toEqual(['start a', 'start b', 'ready', 'stop b', 'stop a']);
  });

  it('stops what was started when a part fails, and throws what it failed of', async () => {
    const broken = part('b', () => Promise.reject(new Error('no luck')));
    await expect(run([part('a'), broken, part('c')], until)).rejects.toThrow('no luck');
    expect(done).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  it('throws what a part failed of, whatever the stop of what was started fails of', async () => {
    const broken = part('b', () => Promise.reject(new Error('no luck')));
    const stuck: Component = { ...part('a'), stop: () => Promise.reject(new Error('and what came of it')) };
    await expect(run([stuck, broken], until)).rejects.toThrow('no luck');
    expect(done).toEqual(['start a', 'start b', 'stop b']);
  });

  it('throws what a stop that was asked for fails of', async () => {
    const stuck: Component = { ...part('a'), stop: () => Promise.reject(new MqError('INTERNAL', 'stuck')) };
    await expect(run([stuck], until, () => stop())).rejects.toMatchObject({ reason: 'stuck' });
  });

  it('heeds a stop while a part waits for ever to start', async () => {
    const waits = part('b', () => {
      stop();
      return new Promise(() => undefined);
    });
    const ready = jest.fn();
    await run([part('a'), waits, part('c')], until, ready);
    expect(done).toEqual(['start a', 'start b', 'stop b', 'stop a']);
    expect(ready).not.toHaveBeenCalled();
  });

  it('is not upset by a start that its own stop breaks off', async () => {
    let breakOff: (error: Error) => void = () => undefined;
    const waits: Component = {
      name: 'a',
      start: () => {
        stop();
        return new Promise((_, reject) => (breakOff = reject));
      },
      stop: () => Promise.resolve(breakOff(new Error('broken off'))),
    };
    await expect(run([waits], until)).resolves.toBeUndefined();
  });

  it('starts nothing more once a stop was asked for, even if the part under way gets there', async () => {
    const last = part('a', () => {
      stop();
      return Promise.resolve();
    });
    const ready = jest.fn();
    await run([last, part('b')], until, ready);
    expect(done).toEqual(['start a', 'stop a']);
    expect(ready).not.toHaveBeenCalled();
  });
});
