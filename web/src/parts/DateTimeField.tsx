/** A point in time of a filter: shown in the reader's time zone, kept in UTC. */
import { TextInput } from '@mantine/core';

/** "2026-11-23T03:05", as the browser's field has it, in the reader's time zone. */
export function toField(utc: string): string {
  const at = Date.parse(utc);
  if (Number.isNaN(at)) return '';
  const d = new Date(at);
  return new Date(at - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function DateTimeField({ label, value, onSet }: { label: string; value: string; onSet: (utc: string) => void }) {
  return (
    <TextInput
      type="datetime-local"
      aria-label={label}
      title={label}
      value={toField(value)}
      leftSection={<span style={{ fontSize: 12 }}>{label}</span>}
      leftSectionWidth={52}
      w={248}
      onChange={(e) => {
        const at = new Date(e.currentTarget.value);
        onSet(Number.isNaN(at.getTime()) ? '' : at.toISOString());
      }}
    />
  );
}
