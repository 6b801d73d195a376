/**
 * Names of user properties that RocketMQ keeps for itself. Ours lie outside the user's map and need none of them; they
 * are refused all the same, so that messages can move between the two. Source: the Java server's MessageConst.
 */
const reserved = new Set([
  ...['TRACE_ON', 'MSG_REGION', 'KEYS', 'TAGS', 'WAIT', 'DELAY', 'RETRY_TOPIC', 'REAL_TOPIC', 'REAL_QID', 'TRAN_MSG'],
  ...['PGROUP', 'MIN_OFFSET', 'MAX_OFFSET', 'BUYER_ID', 'ORIGIN_MESSAGE_ID', 'TRANSFER_FLAG', 'CORRECTION_FLAG'],
  ...['MQ2_FLAG', 'RECONSUME_TIME', 'UNIQ_KEY', 'MAX_RECONSUME_TIMES', 'CONSUME_START_TIME', 'POP_CK'],
  ...['POP_CK_OFFSET', '1ST_POP_TIME', 'TRAN_PREPARED_QUEUE_OFFSET', 'DUP_INFO', 'EXTEND_UNIQ_INFO', 'INSTANCE_ID'],
  ...['CORRELATION_ID', 'REPLY_TO_CLIENT', 'TTL', 'ARRIVE_TIME', 'PUSH_REPLY_TIME', 'CLUSTER', 'MSG_TYPE'],
  ...['INNER_MULTI_QUEUE_OFFSET', 'TIMER_DELAY_MS', 'TIMER_DELAY_SEC', 'TIMER_DELIVER_MS', 'TIMER_ENQUEUE_MS'],
  ...['TIMER_DEQUEUE_MS', 'TIMER_ROLL_TIMES', 'TIMER_OUT_MS', 'TIMER_DEL_UNIQKEY', 'TIMER_DELAY_LEVEL'],
  ...['__BORNHOST', 'BORN_TIMESTAMP', 'DLQ_ORIGIN_TOPIC', 'DLQ_ORIGIN_MESSAGE_ID', '__CRC32#'],
]);

const lengths = [...reserved].map((name) => name.length);
const lengthMin = Math.min(...lengths);
const lengthMax = Math.max(...lengths);

/** Looks at the length and the first byte before it makes a string: most names stop there. */
export function isReservedProperty(bytes: Buffer, from: number, to: number): boolean {
  const length = to - from;
  if (length < lengthMin || length > lengthMax) return false;
  const first = bytes[from] as number;
  const upper = first >= 0x41 && first <= 0x5a;
  if (!upper && first !== 0x5f && first !== 0x31) return false; // "_" and "1".
  return reserved.has(bytes.toString('latin1', from, to));
}

export const reservedPropertyNames: ReadonlySet<string> = reserved;
