/** Goal: what is written over in a template stays a proper request. Method: decode it with the generated code. */
import { Message, ReceiveMessageResponse, SendMessageRequest } from '@cometmq/proto';

import { SendTemplate, receivedMessageOf } from './requests.js';

it('each send has an id and a number of its own', () => {
  const template = new SendTemplate({ topic: 't', bodyBytes: 1_024, tag: 'a', keys: ['k'] }, 7);
  const sends = [1, 2, 4_000_000_000].map((number) => {
    const request = SendMessageRequest.decode(Buffer.from(template.next(number).subarray(5)));
    return request.messages[0] as Message;
  });
  expect(new Set(sends.map(({ systemProperties }) => systemProperties?.messageId)).size).toBe(3);
  for (const { topic, systemProperties, body } of sends) {
    expect(topic?.name).toBe('t');
    expect(systemProperties?.messageId).toMatch(/^[0-9A-F]{34}$/);
    expect(systemProperties?.keys).toEqual(['k']);
    expect(body.length).toBe(1_024);
  }
});

it('goes through the message groups in turn', () => {
  const template = new SendTemplate({ topic: 't', bodyBytes: 100, groups: 3 }, 7);
  const groups = [1, 2, 3, 4].map((number) => {
    const { messages } = SendMessageRequest.decode(Buffer.from(template.next(number).subarray(5)));
    return messages[0]?.systemProperties?.messageGroup;
  });
  expect(groups).toEqual(['00000001', '00000002', '00000000', '00000001']);
});

it('finds what it acknowledges in a received message', () => {
  const template = new SendTemplate({ topic: 't', bodyBytes: 100 }, 7);
  const sent = SendMessageRequest.decode(Buffer.from(template.next(77).subarray(5))).messages[0] as Message;
  const message = Message.fromPartial({
    ...sent,
    systemProperties: { ...sent.systemProperties, receiptHandle: 'handle' },
  });
  const item = Buffer.from(ReceiveMessageResponse.encode({ content: { $case: 'message', value: message } }).finish());
  expect(receivedMessageOf(item)).toEqual({
    messageId: sent.systemProperties?.messageId,
    receiptHandle: 'handle',
    number: 77,
  });
});
