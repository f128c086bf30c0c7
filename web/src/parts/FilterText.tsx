/** A text of a filter in the address: applied when typing has paused, or by Enter; it follows the address when that changes by itself. */
import { TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';

/** How long typing has to pause, in ms. */
const pause = 400;

interface Props {
  value: string;
  label: string;
  onSet: (v: string) => void;
  className?: string;
  /** The field that "/" goes to. */
  search?: boolean;
}

export function FilterText({ value, label, onSet, className, search }: Props) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    setText(value);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const send = (v: string) => {
    clearTimeout(timer.current);
    sent.current = v.trim();
    onSet(v.trim());
  };
  return (
    <TextInput
      aria-label={label}
      placeholder={label}
      value={text}
      leftSection={search ? <IconSearch size={15} /> : undefined}
      data-search={search || undefined}
      className={className}
      onChange={(e) => {
        const v = e.currentTarget.value;
        setText(v);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => send(v), pause);
      }}
      onKeyDown={(e) => {
        if (e.key === 'Enter') send(text);
        if (e.key === 'Escape') e.currentTarget.blur();
      }}
    />
  );
}
