/** SETTINGS (RFC 9113, section 6.5): reading and checking a peer's, writing ours. */
import { frameBytesMax, frameBytesMin, H2Failure, h2Error, setting, windowBytesMax } from './constants.js';

export const defaultHpackTableBytes = 4_096;
const entryBytes = 6;
/** There are fewer than ten settings; a frame with more entries than this means no good. */
const entriesMax = 64;

/** Gives each entry of `bytes[from, to)` to `take`. Throws H2Failure where a value is not allowed. */
export function readSettings(bytes: Buffer, from: number, to: number, take: (id: number, value: number) => void): void {
  if ((to - from) % entryBytes !== 0) throw new H2Failure(h2Error.FRAME_SIZE_ERROR, 'SETTINGS is not whole entries');
  if ((to - from) / entryBytes > entriesMax) throw new H2Failure(h2Error.ENHANCE_YOUR_CALM, 'too many settings');
  for (let at = from; at < to; at += entryBytes) {
    const id = bytes.readUInt16BE(at);
    const value = bytes.readUInt32BE(at + 2);
    if (id === setting.ENABLE_PUSH && value > 1) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'ENABLE_PUSH above 1');
    if (id === setting.INITIAL_WINDOW_SIZE && value > windowBytesMax) {
      throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE above 2^31-1');
    }
    if (id === setting.MAX_FRAME_SIZE && (value < frameBytesMin || value > frameBytesMax)) {
      throw new H2Failure(h2Error.PROTOCOL_ERROR, 'MAX_FRAME_SIZE out of its bounds');
    }
    take(id, value);
  }
}

/** The payload of a SETTINGS frame. */
export function settingsPayload(entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(entries.length * entryBytes);
  entries.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * entryBytes);
    payload.writeUInt32BE(value, i * entryBytes + 2);
  });
  return payload;
}
