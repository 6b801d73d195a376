/** What an operator makes of a message is held to the rules that clients' messages are held to, with their codes. */
import { isReservedProperty, messageRules, printable } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

export interface Edited {
  readonly body?: Uint8Array | undefined;
  readonly tag?: string | undefined;
  readonly keys?: readonly string[] | undefined;
  readonly properties?: Readonly<Record<string, string>> | undefined;
}

const { propertiesMax, propertyBytesMax, bodyBytesMax } = messageRules;

/** @throws MqError */
export function checkEdited({ body, tag = '', keys = [], properties = {} }: Edited): void {
  if (body?.length === 0) throw new MqError('MESSAGE_BODY_EMPTY', 'the message has no body; at least 1 byte is needed');
  if (body && body.length > bodyBytesMax) {
    throw new MqError('MESSAGE_TOO_LARGE', `the body has ${body.length} bytes, at most ${bodyBytesMax} are allowed`);
  }
  if (tag !== '') checkLabel('ILLEGAL_MESSAGE_TAG', 'the tag', tag);
  if (tag.includes('|')) {
    throw new MqError('ILLEGAL_MESSAGE_TAG', 'the tag must not hold "|", which joins tags in filters');
  }
  for (const key of keys) checkLabel('ILLEGAL_MESSAGE_KEY', 'a message key', key);
  const entries = Object.entries(properties);
  if (entries.length > propertiesMax) {
    throw tooLarge(`${entries.length} user properties, at most ${propertiesMax} are allowed`);
  }
  for (const [name, value] of entries) checkProperty(name, value);
  const bytes = [tag, ...keys, ...entries.flat()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > propertyBytesMax) {
    throw tooLarge(`user properties, tag and keys have ${bytes} bytes, at most ${propertyBytesMax} are allowed`);
  }
}

function checkLabel(code: 'ILLEGAL_MESSAGE_TAG' | 'ILLEGAL_MESSAGE_KEY', what: string, text: string): void {
  if (/\p{Cc}/u.test(text)) throw new MqError(code, `${what} must not hold control characters`);
  if (text.trim() === '') throw new MqError(code, `${what} must not be only white space`);
  if (!text.isWellFormed()) throw new MqError(code, `${what} is no valid Unicode`);
}

function checkProperty(name: string, value: string): void {
  const code = 'ILLEGAL_MESSAGE_PROPERTY_KEY';
  const shown = `user property "${printable(name)}"`;
  const bytes = Buffer.from(name);
  if (isReservedProperty(bytes, 0, bytes.length))
    throw new MqError(code, `${shown}: the name is reserved for the system`);
  if (/\p{Cc}/u.test(name + value))
    throw new MqError(code, `${shown}: keys and values must not hold control characters`);
  if (!(name + value).isWellFormed()) throw new MqError(code, `${shown}: keys and values must be valid Unicode`);
}

function tooLarge(what: string): MqError {
  return new MqError('MESSAGE_PROPERTIES_TOO_LARGE', what);
}
