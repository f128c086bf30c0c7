/** The keys of this page. */
import { Kbd, Modal } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useLocation } from 'react-router';
import { logKeys } from '../log/keys';
import { globalKeys, onHelp } from './keys';
import classes from './help.module.css';

export function Help() {
  const [opened, setOpened] = useState(false);
  const inLog = /\/jobs\//.test(useLocation().pathname);
  useEffect(() => onHelp(() => setOpened(true)), []);
  return (
    <Modal opened={opened} onClose={() => setOpened(false)} title="Keyboard" size="md">
      {inLog && <Keys title="In the log" keys={logKeys} />}
      <Keys title="Everywhere" keys={globalKeys} />
    </Modal>
  );
}

function Keys({ title, keys }: { title: string; keys: [string, string][] }) {
  return (
    <section className={classes.group}>
      <h3 className={classes.title}>{title}</h3>
      <dl className={classes.list}>
        {keys.map(([key, what]) => (
          <div key={key} className={classes.row}>
            <dt>{key.split(' ').map((k) => <Kbd key={k} size="xs">{k}</Kbd>)}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
