/** The sign and the words of a release's state. */
import { Tooltip } from '@mantine/core';
import { StatusIcon } from '../parts/Status';
import status from '../parts/status.module.css';
import { signOf, statusWords } from './status';

export function Sign({ state, size }: { state: string; size?: number }) {
  return <StatusIcon status={signOf(state)} size={size} label={statusWords(state)} />;
}

export function StateText({ state, reason }: { state: string; reason?: string }) {
  const text = (
    <span className={status.text} data-status={signOf(state)}>
      <StatusIcon status={signOf(state)} label="" />
      {statusWords(state)}
    </span>
  );
  return reason ? <Tooltip label={reason} multiline maw={420}>{text}</Tooltip> : text;
}
