/** What can be done with a row of a list: change it, remove it. */
import type { Action } from '../api/types';
import { CanButton } from './Can';
import table from './table.module.css';

interface Props {
  action: Action;
  project: string;
  change: string;
  onChange: () => void;
  onRemove: () => void;
}

export function RowActions({ action, project, change, onChange, onRemove }: Props) {
  return (
    <td className={table.right} style={{ whiteSpace: 'nowrap' }}>
      <CanButton action={action} project={project} variant="subtle" size="compact-xs" onClick={onChange}>{change}</CanButton>
      <CanButton action={action} project={project} variant="subtle" color="red" size="compact-xs" onClick={onRemove}>Remove</CanButton>
    </td>
  );
}
