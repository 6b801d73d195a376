import type { MqError } from '@cometmq/shared';
import type { DuplexStream } from '../rpc-channel.js';

/** A call that failed before it was made. Its owner hears of it later, as of any other. */
export function failedCall(error: MqError): DuplexStream {
  let endAct: ((error: MqError) => void) | undefined;
  let due = false;
  const tell = (): void => {
    due = true;
    const act = endAct;
    endAct = undefined;
    act?.(error);
  };
  queueMicrotask(tell);
  return {
    onMessage: () => undefined, // None will come.
    onEnd: (act) => {
      endAct = act;
      if (due) tell();
    },
    pause: () => undefined,
    resume: () => undefined,
    giveBack: () => undefined,
    cancel: () => undefined,
    write: () => false,
    onDrain: () => undefined,
    end: () => undefined,
  };
}
