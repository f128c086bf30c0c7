/** A token that is shown once: it is nowhere to be read again. */
import { Button, Group, Modal, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { CopyBlock } from './Copy';

export function TokenOnce({ token, onClose, title, children }: { token: string | null; onClose: () => void; title: string; children?: ReactNode }) {
  return (
    <Modal opened={token !== null} onClose={onClose} title={title} closeOnClickOutside={false}>
      <Text size="sm" mb="sm">Copy the token now. It is kept as a hash only and cannot be shown again.</Text>
      <CopyBlock value={token ?? ''} label="token" />
      {children}
      <Group justify="flex-end" mt="lg"><Button onClick={onClose}>I have kept it</Button></Group>
    </Modal>
  );
}
