import { Text, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';

import type { DeadLetter, MessageDescription } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { FormDialog } from '../parts/ask.js';
import { Dialog } from '../parts/dialog.js';
import { Answered } from '../parts/show.js';
import { useWords } from '../text/text.js';

const bytesMax = 1024 * 1024;

/** A dead letter as it is sent again: its text, its tag and its keys. */
export function EditLetter({
  group,
  letter,
  onClose,
}: {
  readonly group: string;
  readonly letter: DeadLetter;
  readonly onClose: () => void;
}) {
  const words = useWords();
  const message = useApi('describeMessage', { params: { id: letter.id }, query: { bytes: bytesMax } }, { everyMs: 0 });
  if (message.data) return <Form group={group} message={message.data} onClose={onClose} />;
  return (
    <Dialog title={words.editAndSend} onClose={onClose}>
      <Answered of={message}>{() => null}</Answered>
    </Dialog>
  );
}

function Form({
  group,
  message,
  onClose,
}: {
  readonly group: string;
  readonly message: MessageDescription;
  readonly onClose: () => void;
}) {
  const words = useWords();
  const send = useChange('resendDeadLetter');
  // What is no text, or too long to be edited in a page, or hidden from who asks, goes out as it is.
  const isText = message.text !== undefined && !message.cut && message.masked === undefined;
  const [text, setText] = useState(message.text ?? '');
  const [tag, setTag] = useState(message.tag);
  const [keys, setKeys] = useState(message.keys.join(' '));
  const body = {
    id: message.id,
    ...(isText && text !== message.text && { text }),
    ...(tag !== message.tag && { tag }),
    ...(keys !== message.keys.join(' ') && { keys: keys.split(/\s+/).filter((key) => key !== '') }),
  };
  return (
    <FormDialog
      {...{ title: words.editAndSend, onClose, submit: words.sendAgain }}
      onSubmit={() => send.mutate({ params: { name: group }, body }, { onSuccess: onClose })}
      error={send.error}
      busy={send.isPending}
    >
      <Text size="sm">{words.resendWhat(message.originTopic ?? message.topic)}</Text>
      {isText ? (
        <Textarea
          label={words.body}
          value={text}
          rows={10}
          spellCheck={false}
          styles={{ input: { fontFamily: 'monospace' } }}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      ) : (
        <Text>{words.bodyStays}</Text>
      )}
      <TextInput label={words.tag} value={tag} onChange={(event) => setTag(event.currentTarget.value)} />
      <TextInput label={words.keys} value={keys} onChange={(event) => setKeys(event.currentTarget.value)} />
    </FormDialog>
  );
}
