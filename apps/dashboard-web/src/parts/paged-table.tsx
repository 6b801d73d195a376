import { Button, Group, Text } from '@mantine/core';
import type { ReactNode } from 'react';

import type { ApiError } from '../api/client.js';
import { useWords } from '../text/text.js';
import { DataTable, type Column } from './data-table.js';
import { count } from './format.js';
import { Loading } from './loading.js';
import { Stale, Trouble } from './show.js';

interface Pages {
  readonly error: ApiError | null;
  readonly isLoading: boolean;
  readonly hasNextPage: boolean;
  readonly isFetchingNextPage: boolean;
  fetchNextPage(): unknown;
}

/** A table that grows a page at a time, for ever. */
export function PagedTable<T>({
  pages,
  total,
  children,
  ...table
}: {
  readonly pages: Pages;
  readonly total?: number | undefined;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly idOf: (row: T) => string;
  readonly label: string;
  readonly empty?: string | undefined;
  /** Shown instead of the plain table. */
  readonly children?: ReactNode;
}) {
  const words = useWords();
  if (pages.isLoading) return <Loading />;
  if (pages.error && table.rows.length === 0) return <Trouble error={pages.error} />;
  return (
    <>
      <Stale error={pages.error} />
      {children ?? <DataTable {...table} />}
      <Group mt="sm">
        {total !== undefined && (
          <Text size="sm" c="var(--comet-quiet)">
            {words.total(count(total))}
          </Text>
        )}
        {pages.hasNextPage && (
          <Button size="xs" variant="default" loading={pages.isFetchingNextPage} onClick={() => pages.fetchNextPage()}>
            {words.more}
          </Button>
        )}
      </Group>
    </>
  );
}
