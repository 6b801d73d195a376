/**
 * The encoded message as the log keeps it, and as a consumer gets it.
 *
 * A stored message is what its sender sent, byte for byte, in a plain form: at most one topic, exactly one system
 * properties, at most one body. What the server has to say is joined to the system properties, which get a new length:
 *
 *   | … | 1a, length | system properties as sent + what the server says | … |
 *
 * Inside them the last of two copies of a field counts in every decoder. A second system properties field would do by
 * the letter of protobuf, but the decoder of the official Node.js client keeps only the last one it sees.
 */
import { assert, WireReader, wireType } from '@cometmq/shared';

/** Where the parts of a stored message lie. */
export class StoredParts {
  systemTagAt = -1;
  systemFrom = 0;
  systemTo = 0;
  bodyFrom = 0;
  bodyTo = 0;
  topicFrom = 0;
  topicTo = 0;

  /** One walk over the top level; bodies and properties are jumped over. */
  constructor(message: Buffer) {
    const reader = new WireReader(message, 0, message.length);
    for (let tagAt = 0; reader.next(); tagAt = reader.at) {
      if (reader.type !== wireType.bytes) {
        reader.skip();
        continue;
      }
      const end = reader.lengthEnd();
      if (reader.field === 1) {
        this.topicFrom = reader.at;
        this.topicTo = end;
      } else if (reader.field === 3) {
        this.systemTagAt = tagAt;
        this.systemFrom = reader.at;
        this.systemTo = end;
      } else if (reader.field === 4) {
        this.bodyFrom = reader.at;
        this.bodyTo = end;
      }
      reader.at = end;
    }
    assert(this.systemTagAt >= 0, 'a stored message has its system properties');
  }
}

/** Name and namespace of an encoded Resource. */
export function readResource(bytes: Buffer, from: number, to: number): { namespace: string; name: string } {
  const reader = new WireReader(bytes, from, to);
  let namespace = '';
  let name = '';
  while (reader.next()) {
    if (reader.type === wireType.bytes && reader.field === 1) namespace = reader.text();
    else if (reader.type === wireType.bytes && reader.field === 2) name = reader.text();
    else reader.skip();
  }
  return { namespace, name };
}
