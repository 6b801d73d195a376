import { Modal, VisuallyHidden } from '@mantine/core';
import type { ReactNode } from 'react';

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  /** The title is for those who do not see the page. */
  readonly quiet?: boolean;
  readonly size?: string;
}

/** A window over the page, named by its title; Escape closes it. (The library's own header would be a second banner.) */
export function Dialog({ title, onClose, children, quiet = false, size = 'md' }: DialogProps) {
  const heading = (
    <Modal.Title fw={700} fz="lg" mb="sm">
      {title}
    </Modal.Title>
  );
  return (
    <Modal.Root opened onClose={onClose} size={size}>
      <Modal.Overlay />
      <Modal.Content>
        <Modal.Body p="md">
          {quiet ? <VisuallyHidden>{heading}</VisuallyHidden> : heading}
          {children}
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
