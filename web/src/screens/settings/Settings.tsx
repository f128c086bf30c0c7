/** Settings: my own, everybody's accounts, and the server's. */
import { Tabs } from '@mantine/core';
import { useNavigate, useParams } from 'react-router';
import { useMe } from '../../api/queries';
import { may } from '../../lib/permissions';
import { Page } from '../../parts/Page';
import table from '../../parts/table.module.css';
import { Accounts } from './Accounts';
import { Mine } from './Mine';
import { ServerSettings } from './ServerSettings';

export function Settings() {
  const { tab = 'me' } = useParams();
  const me = useMe();
  const navigate = useNavigate();
  return (
    <Page title="Settings">
      <Tabs value={tab} onChange={(v) => void navigate(`/settings/${v}`)} keepMounted={false}>
        <Tabs.List className={table.tabs}>
          <Tabs.Tab value="me">Mine</Tabs.Tab>
          {may(me, 'account:read') && <Tabs.Tab value="accounts">Accounts</Tabs.Tab>}
          {may(me, 'settings:read') && <Tabs.Tab value="server">Server</Tabs.Tab>}
        </Tabs.List>
        <div className={table.panel}>
          <Tabs.Panel value="me"><Mine /></Tabs.Panel>
          <Tabs.Panel value="accounts"><Accounts /></Tabs.Panel>
          <Tabs.Panel value="server"><ServerSettings /></Tabs.Panel>
        </div>
      </Tabs>
    </Page>
  );
}
