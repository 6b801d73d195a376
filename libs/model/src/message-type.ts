/** What kind of message a topic takes. Numbers are those of `apache.rocketmq.v2.MessageType`; MIXED is ours and never on the wire. */
export const MessageType = { normal: 1, fifo: 2, delay: 3, transaction: 4, lite: 5, priority: 6, mixed: 100 } as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];
export type MessageTypeName = keyof typeof MessageType;

export function messageTypeName(type: MessageType): MessageTypeName {
  for (const [name, value] of Object.entries(MessageType)) if (value === type) return name as MessageTypeName;
  return 'normal';
}

/** Which types a message may have to be accepted by a topic of this type. */
export function accepts(topicType: MessageType, messageType: MessageType): boolean {
  if (topicType !== MessageType.mixed) return topicType === messageType;
  return messageType <= MessageType.transaction;
}
