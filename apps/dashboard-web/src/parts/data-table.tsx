import { ScrollArea, Table, Text, UnstyledButton } from '@mantine/core';
import {
  createSortedRowModel,
  rowSortingFeature,
  tableFeatures,
  useTable,
  type ColumnDef,
} from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef, type ReactNode } from 'react';

import { useWords } from '../text/text.js';

export interface Column<T> {
  readonly id: string;
  readonly head: string;
  readonly cell: (row: T) => ReactNode;
  /** What the column sorts by; left out: it does not sort. */
  readonly by?: (row: T) => string | number;
  readonly right?: boolean;
}

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() });
const order = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0);
const rowHeight = 37;
const heightMax = 640;
/** Words stay whole: a table that is too wide is moved sideways. */
const cellStyle = { overflowWrap: 'break-word', maxWidth: 420 } as const;

/** Rows of which only those in sight are in the page, however many there are. */
export function DataTable<T>({
  rows,
  columns,
  idOf,
  label,
  empty,
}: {
  rows: readonly T[];
  columns: readonly Column<T>[];
  idOf: (row: T) => string;
  label: string;
  /** Said where there are no rows. */
  empty?: string | undefined;
}) {
  const words = useWords();
  const defs = useMemo(
    () =>
      columns.map(({ id, by }): ColumnDef<typeof features, { row: T }> => ({
        id,
        accessorFn: ({ row }) => by?.(row) ?? '',
        enableSorting: by !== undefined,
        sortFn: (a, b) => order(by?.(a.original.row) ?? '', by?.(b.original.row) ?? ''),
      })),
    [columns],
  );
  const data = useMemo(() => rows.map((row) => ({ row })), [rows]);
  const table = useTable({ features, columns: defs, data, getRowId: ({ row }) => idOf(row) });
  const model = table.getRowModel().rows;
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: model.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowHeight,
    getItemKey: (index) => model[index]?.id ?? index,
    overscan: 12,
  });
  if (rows.length === 0) {
    return (
      <Text c="var(--comet-quiet)" py="md">
        {empty ?? words.empty}
      </Text>
    );
  }
  const items = virtual.getVirtualItems();
  const above = items[0]?.start ?? 0;
  const below = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <ScrollArea.Autosize
      mah={heightMax}
      viewportRef={scroll}
      viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': label }}
    >
      <Table stickyHeader highlightOnHover verticalSpacing="xs" aria-label={label} aria-rowcount={rows.length}>
        <Table.Thead>
          <Table.Tr>
            {columns.map(({ id, head, right }) => {
              const column = table.getColumn(id);
              const sorted = column?.getIsSorted();
              return (
                <Table.Th
                  key={id}
                  ta={right === true ? 'right' : 'left'}
                  {...(id === 'actions' && { className: 'actions' })}
                  {...(sorted && { 'aria-sort': sorted === 'asc' ? ('ascending' as const) : ('descending' as const) })}
                >
                  {column?.getCanSort() === true ? (
                    <UnstyledButton fw={700} fz="sm" onClick={() => column.toggleSorting()}>
                      {head}
                      {sorted === 'asc' ? ' ▲' : sorted === 'desc' ? ' ▼' : ''}
                    </UnstyledButton>
                  ) : (
                    head
                  )}
                </Table.Th>
              );
            })}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {above > 0 && <tr aria-hidden style={{ height: above }} />}
          {items.map(({ index, key }) => {
            const row = model[index]?.original.row;
            return row === undefined ? null : (
              <Table.Tr key={key} data-index={index} ref={virtual.measureElement}>
                {columns.map(({ id, cell, right }) => (
                  <Table.Td
                    key={id}
                    ta={right === true ? 'right' : 'left'}
                    style={right === true ? { ...cellStyle, whiteSpace: 'nowrap' } : cellStyle}
                    {...(id === 'actions' && { className: 'actions' })}
                  >
                    {cell(row)}
                  </Table.Td>
                ))}
              </Table.Tr>
            );
          })}
          {below > 0 && <tr aria-hidden style={{ height: below }} />}
        </Table.Tbody>
      </Table>
    </ScrollArea.Autosize>
  );
}
