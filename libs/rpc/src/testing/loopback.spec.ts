import { ManualClock } from '@cometmq/shared/testing';
import { echoService, newEchoNotes, streamRequest } from './echo.js';
import { loopback } from './loopback.js';

function setUp() {
  const clock = new ManualClock();
  const notes = newEchoNotes();
  return { clock, notes, channel: loopback([echoService(notes)], clock) };
}

it('behaves as the channel over sockets does', async () => {
  const { channel } = setUp();
  const hello = Buffer.from('hello');
  expect(await channel.unary('/test.Echo/Chunks', hello)).toEqual(hello);
  await expect(channel.unary('/test.Echo/Fail', hello)).rejects.toMatchObject({
    code: 'TOPIC_NOT_FOUND',
    reason: 'hello',
  });
  await expect(channel.unary('/test.Echo/Throw', hello)).rejects.toMatchObject({ code: 'INTERNAL' });
  await expect(channel.unary('/test.Echo/None', hello)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  const stream = channel.serverStream('/test.Echo/Stream', streamRequest(5, 10));
  let count = 0;
  stream.onMessage(() => (count += 1));
  expect(await new Promise<unknown>((resolve) => stream.onEnd(resolve))).toBeUndefined();
  expect(count).toBe(5);
  const chat = channel.bidi('/test.Echo/Chat');
  const heard: string[] = [];
  chat.onMessage((message) => heard.push(Buffer.from(message).toString()));
  chat.write(Buffer.from('one'));
  chat.write(Buffer.from('two'));
  chat.end();
  expect(await new Promise<unknown>((resolve) => chat.onEnd(resolve))).toBeUndefined();
  expect(heard).toEqual(['one', 'two']);
});

it('ends calls by deadline, by cancelling and by closing', async () => {
  const { clock, notes, channel } = setUp();
  const late = channel.unary('/test.Echo/Hang', Buffer.alloc(0), { deadlineMs: 100 });
  const hanging = channel.serverStream('/test.Echo/HangStream', Buffer.alloc(0));
  const left = channel.unary('/test.Echo/Hang', Buffer.alloc(0));
  const ended = new Promise<unknown>((resolve) => hanging.onEnd(resolve));
  await Promise.resolve();
  clock.advance(100);
  await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' });
  hanging.cancel();
  expect(await ended).toMatchObject({ code: 'CANCELLED' });
  channel.close();
  await expect(left).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(notes.cancelled).toBe(3);
});
