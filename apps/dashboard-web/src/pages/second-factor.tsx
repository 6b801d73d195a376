import { Button, Code, Group, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';

import { useChange } from '../api/use-api.js';
import { QrCode } from '../parts/qr-code.js';
import { Card, Trouble } from '../parts/show.js';
import { useWords } from '../text/text.js';

export interface Given {
  readonly user: string;
  readonly secret: string;
  readonly code?: string;
}

/** A code of the app, or a recovery code. */
export function CodeInput({ value, onChange }: { readonly value: string; readonly onChange: (code: string) => void }) {
  const words = useWords();
  return (
    <TextInput
      label={words.code}
      value={value}
      autoComplete="one-time-code"
      required
      data-autofocus
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}

/** The key for the app, a first code of it, and then the recovery codes, which are shown once. */
export function SetUpSecondFactor({ given, onDone }: { readonly given: Given; readonly onDone: () => void }) {
  const words = useWords();
  const begin = useChange('beginSecondFactor');
  const finish = useChange('finishSecondFactor');
  const [code, setCode] = useState('');
  const { data: begun } = begin;
  if (finish.data) {
    return (
      <Stack gap="sm" role="status">
        <Text>{words.recoveryCodes}</Text>
        <Code block>{finish.data.recoveryCodes.join('\n')}</Code>
        <Button onClick={onDone}>{words.close}</Button>
      </Stack>
    );
  }
  if (!begun) {
    return (
      <Stack gap="sm">
        <Trouble error={begin.error} />
        <Button loading={begin.isPending} onClick={() => begin.mutate({ body: given })}>
          {words.setUpSecondFactor}
        </Button>
      </Stack>
    );
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const { user, secret } = given;
        finish.mutate({ body: { user, secret, code, setupToken: begun.setupToken } });
      }}
    >
      <Stack gap="sm">
        <Text>{words.scanThis}</Text>
        <QrCode text={begun.secretUri} label={words.scanThis} />
        <Code block>{begun.secretKey}</Code>
        <CodeInput value={code} onChange={setCode} />
        <Trouble error={finish.error} />
        <Button type="submit" loading={finish.isPending}>
          {words.confirmCode}
        </Button>
      </Stack>
    </form>
  );
}

/** Of who has signed in: set up, replaced by another app's, or ended. */
export function OwnSecondFactor({ user, isOn, onChanged }: OwnProps) {
  const words = useWords();
  const end = useChange('endSecondFactor');
  const [secret, setSecret] = useState('');
  const [code, setCode] = useState('');
  const [given, give] = useState<Given>();
  const asked: Given = { user, secret, ...(isOn && { code }) };
  const done = (): void => {
    give(undefined);
    setSecret('');
    setCode('');
    onChanged();
  };
  return (
    <Card title={words.secondFactor}>
      <Text mb="sm">{isOn ? words.secondFactorOn : words.secondFactorOff}</Text>
      {given ? (
        <SetUpSecondFactor given={given} onDone={done} />
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            give(asked);
          }}
        >
          <Group align="end" mb="sm">
            <PasswordInput
              label={words.secretNow}
              value={secret}
              autoComplete="current-password"
              required
              miw={280}
              onChange={(event) => setSecret(event.currentTarget.value)}
            />
            {isOn && <CodeInput value={code} onChange={setCode} />}
            <Button type="submit">{isOn ? words.otherApp : words.setUpSecondFactor}</Button>
            {isOn && (
              <Button
                variant="light"
                color="red"
                loading={end.isPending}
                disabled={secret === '' || code === ''}
                onClick={() => end.mutate({ body: asked }, { onSuccess: done })}
              >
                {words.endSecondFactor}
              </Button>
            )}
          </Group>
        </form>
      )}
      <Trouble error={end.error} />
    </Card>
  );
}

interface OwnProps {
  readonly user: string;
  readonly isOn: boolean;
  readonly onChanged: () => void;
}
