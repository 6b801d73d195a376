import { Button, Group, NativeSelect, TextInput } from '@mantine/core';
import { useState } from 'react';

import type { User } from '../api/schema.js';
import { useWords } from '../text/text.js';

type Policy = User['policies'][number];
interface PolicyLine {
  readonly key: number;
  readonly decision: NonNullable<Policy['decision']>;
  readonly actions: string;
  readonly resource: string;
  readonly from: string;
  /** What lines do not change. */
  readonly policy: NonNullable<Policy['policy']>;
}

export const listed = (text: string): string[] => text.split(/[\s,]+/).filter((one) => one !== '');

/** Policies as somebody writes them, a line each. */
export function usePolicyLines(written: readonly Policy[]) {
  const [lines, setLines] = useState<readonly PolicyLine[]>(() =>
    written.map(({ decision = 'allow', actions: may, resource, sourceIps = [], policy = 'custom' }, key) => ({
      ...{ key, decision, actions: may.join(', '), resource, from: sourceIps.join(', '), policy },
    })),
  );
  const [next, setNext] = useState(lines.length);
  const policies = lines.map(({ decision, actions: may, resource, from, policy }) => ({
    ...{ resource: resource.trim(), actions: listed(may) as Policy['actions'], decision, policy },
    ...(listed(from).length > 0 && { sourceIps: listed(from) }),
  }));
  return {
    lines,
    policies,
    put: (key: number, part: Partial<PolicyLine>): void =>
      setLines(lines.map((line) => (line.key === key ? { ...line, ...part } : line))),
    add: (): void => {
      setLines([...lines, { key: next, decision: 'allow', actions: '', resource: '', from: '', policy: 'custom' }]);
      setNext(next + 1);
    },
    remove: (key: number): void => setLines(lines.filter((line) => line.key !== key)),
  };
}

export function PolicyLines({
  of: { lines, put, add, remove },
  placeholder,
  onlyAllow = false,
}: {
  readonly of: ReturnType<typeof usePolicyLines>;
  readonly placeholder: string;
  /** None can deny. */
  readonly onlyAllow?: boolean;
}) {
  const words = useWords();
  return (
    <>
      {lines.map(({ key, decision, actions: may, resource, from }, index) => (
        <Group key={key} align="end" gap="xs" wrap="nowrap" role="group" aria-label={words.policy(index + 1)}>
          {!onlyAllow && (
            <NativeSelect
              label={words.decision}
              value={decision}
              data={['allow', 'deny']}
              onChange={(event) => put(key, { decision: event.currentTarget.value as PolicyLine['decision'] })}
            />
          )}
          <TextInput
            label={words.actionsAllowed}
            placeholder={placeholder}
            value={may}
            required
            onChange={(event) => put(key, { actions: event.currentTarget.value })}
          />
          <TextInput
            label={words.resource}
            placeholder="Topic:orders*"
            value={resource}
            required
            onChange={(event) => put(key, { resource: event.currentTarget.value })}
          />
          <TextInput
            label={words.fromAddress}
            placeholder="10.0.0.0/8"
            value={from}
            onChange={(event) => put(key, { from: event.currentTarget.value })}
          />
          <Button variant="light" color="red" onClick={() => remove(key)} aria-label={words.removePolicy(index + 1)}>
            ✕
          </Button>
        </Group>
      ))}
      <Group>
        <Button size="xs" variant="default" onClick={add}>
          {words.addPolicy}
        </Button>
      </Group>
    </>
  );
}
