/** Dialogs: one asks for what a change needs, one has its reader type a name before something is lost. */
import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useState, type ReactNode } from 'react';

import type { ApiError } from '../api/client.js';
import { useWords } from '../text/text.js';
import { Dialog } from './dialog.js';
import { Trouble } from './show.js';

interface AskProps {
  readonly title: string;
  readonly onClose: () => void;
}

export function FormDialog({
  title,
  onClose,
  submit,
  onSubmit,
  error,
  busy,
  children,
}: AskProps & {
  readonly submit: string;
  readonly onSubmit: () => void;
  readonly error?: ApiError | null;
  readonly busy?: boolean;
  readonly children: ReactNode;
}) {
  const words = useWords();
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (busy !== true) onSubmit();
        }}
      >
        <Stack gap="sm">
          {children}
          <Trouble error={error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {words.cancel}
            </Button>
            <Button type="submit" loading={busy === true}>
              {submit}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}

/** What is lost is said before, and the name has to be typed. */
export function LossDialog({
  title,
  onClose,
  loss,
  name,
  onConfirm,
  error,
  busy,
  ready = true,
}: AskProps & {
  readonly loss: ReactNode;
  readonly name: string;
  readonly onConfirm: () => void;
  readonly error?: ApiError | null;
  readonly busy?: boolean;
  /** False: what would be lost is not known yet. */
  readonly ready?: boolean;
}) {
  const words = useWords();
  const [typed, setTyped] = useState('');
  const mayGo = typed === name && ready;
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (mayGo && busy !== true) onConfirm();
        }}
      >
        <Stack gap="sm">
          <Text>{loss}</Text>
          <TextInput
            label={words.typeName(name)}
            value={typed}
            autoComplete="off"
            onChange={(event) => setTyped(event.currentTarget.value)}
            data-autofocus
          />
          <Trouble error={error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {words.cancel}
            </Button>
            <Button type="submit" color="red" disabled={!mayGo} loading={busy === true}>
              {words.remove}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
