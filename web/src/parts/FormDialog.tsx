/** A form in a dialog: it stays open with what was typed until the server has taken it. */
import { Button, Group, Modal, Stack } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { Problem } from '../api/problem';
import { ProblemAlert } from './Problem';

interface Props {
  opened: boolean;
  onClose: () => void;
  title: string;
  verb: string;
  /** Fields that show what the server says of them by themselves. */
  known?: string[];
  /** What the form does. Where it leads to another screen, it resolves to how to go there: the dialog goes away with the screen. */
  act: () => Promise<(() => void) | void>;
  /** at says what the server said of a field. */
  children: (at: (field: string) => string | undefined) => ReactNode;
}

export function FormDialog({ opened, onClose, title, verb, known, act, children }: Props) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const close = () => {
    setError(null);
    onClose();
  };
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      const leave = await act();
      if (leave) leave();
      else close();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened={opened} onClose={close} title={title}>
      <form onSubmit={(e) => { e.preventDefault(); e.stopPropagation(); void submit(); }}>
        <Stack gap="sm">
          {children((field) => (error instanceof Problem ? error.at(field) : undefined))}
          {error !== null && <ProblemAlert error={error} known={known} />}
        </Stack>
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button variant="default" onClick={close}>Cancel</Button>
          <Button type="submit" loading={busy}>{verb}</Button>
        </Group>
      </form>
    </Modal>
  );
}
