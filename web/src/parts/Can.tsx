/** A button for those who may; for others it is disabled and says why. */
import { Button, Tooltip, type ButtonProps } from '@mantine/core';
import type { ReactNode } from 'react';
import { useMe } from '../api/queries';
import type { Action } from '../api/types';
import { may, whyNot } from '../lib/permissions';

interface Props extends ButtonProps {
  action: Action;
  project?: string;
  onClick?: () => void;
  type?: 'button' | 'submit';
  /** Another reason why it is disabled. */
  unless?: string;
  children: ReactNode;
}

export function CanButton({ action, project, unless, children, disabled, ...rest }: Props) {
  const me = useMe();
  const why = unless ?? (may(me, action, project) ? undefined : whyNot(action, project));
  const button = (
    <Button {...rest} disabled={disabled} data-disabled={why ? true : undefined} aria-disabled={why ? true : undefined} onClick={why ? (e) => e.preventDefault() : rest.onClick}>
      {children}
    </Button>
  );
  return why ? <Tooltip label={why} multiline maw={320} events={{ hover: true, focus: true, touch: true }}>{button}</Tooltip> : button;
}
