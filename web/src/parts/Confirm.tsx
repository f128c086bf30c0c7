/** Asks before something that cannot be undone. The question says what will be lost. */
import { Button, Group, Modal, Text, TextInput } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { ProblemAlert } from './Problem';

interface Props {
  opened: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  verb: string;
  /** What has to be typed first. */
  type?: string;
  act: () => Promise<unknown>;
}

export function Confirm({ opened, onClose, title, children, verb, type, act }: Props) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [typed, setTyped] = useState('');
  const close = () => {
    setError(null);
    setTyped('');
    onClose();
  };
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      await act();
      close();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened={opened} onClose={close} title={title}>
      <form onSubmit={(e) => { e.preventDefault(); void submit(); }}>
        <Text size="sm" component="div">{children}</Text>
        {type && <TextInput mt="md" data-autofocus label={<>Type <b>{type}</b> to confirm</>} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} autoComplete="off" />}
        {error !== null && <div style={{ marginTop: 12 }}><ProblemAlert error={error} /></div>}
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button variant="default" onClick={close}>Keep</Button>
          <Button color="red" type="submit" loading={busy} disabled={type !== undefined && typed !== type}>{verb}</Button>
        </Group>
      </form>
    </Modal>
  );
}
