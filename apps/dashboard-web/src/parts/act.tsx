import { Button, Stack, Text, type ButtonProps } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import type { ReactNode } from 'react';

import type { call, Answer, OperationId } from '../api/client.js';
import { useChange } from '../api/use-api.js';
import { useLanguage } from '../text/text.js';
import { FormDialog } from './ask.js';

interface ActProps<Id extends OperationId> extends Pick<ButtonProps, 'color' | 'variant'> {
  readonly does: Id;
  readonly input: Parameters<typeof call<Id>>[1];
  readonly children: string;
  /** What can not be taken back is asked about first. */
  readonly ask?: ReactNode;
  readonly onDone?: (answer: Answer<Id>) => void;
}

/** A button in a row that changes something: it can't be pressed again meanwhile, and says beside itself why it did not go well. */
export function Act<Id extends OperationId>({ does, input, children, ask, onDone, ...look }: ActProps<Id>) {
  const change = useChange(does);
  const { problemText } = useLanguage();
  const [asking, question] = useDisclosure();
  const act = (): void =>
    change.mutate(input, {
      onSuccess: (answer) => {
        question.close();
        onDone?.(answer);
      },
    });
  return (
    <Stack gap={2} align="flex-start">
      <Button
        size="compact-xs"
        variant="default"
        loading={change.isPending}
        onClick={ask === undefined ? act : question.open}
        {...look}
      >
        {children}
      </Button>
      {change.error && !asking && (
        <Text size="xs" role="alert" maw={280}>
          {problemText(change.error)}
        </Text>
      )}
      {asking && (
        <FormDialog
          {...{ title: children, onClose: question.close, submit: children, onSubmit: act }}
          error={change.error}
          busy={change.isPending}
        >
          {ask}
        </FormDialog>
      )}
    </Stack>
  );
}
