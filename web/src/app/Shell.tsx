/** What is around every screen: where one can go, who one is, and whether the page is live. */
import { ActionIcon, Drawer, Menu, UnstyledButton, useMantineColorScheme } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconBuildingLighthouse, IconChartLine, IconChecks, IconDeviceDesktop, IconFolders, IconHistory, IconKeyboard, IconLogout, IconMenu2, IconMoon, IconPlayerPlay, IconRocket, IconServer2, IconTopologyStar3, IconSettings, IconSun, IconUser } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, type ReactNode } from 'react';
import { Link, NavLink, Outlet, ScrollRestoration, useLocation, useNavigate } from 'react-router';
import { change } from '../api/client';
import { listen, useLink } from '../api/live';
import { q, useMe } from '../api/queries';
import { may, mayAnywhere } from '../lib/permissions';
import { Mark } from '../parts/Mark';
import { tellProblem } from '../parts/Problem';
import classes from './shell.module.css';
import { openHelp, useGlobalKeys } from './keys';
import { Help } from './Help';

const places = [
  { to: '/', label: 'Overview', icon: IconBuildingLighthouse },
  { to: '/projects', label: 'Projects', icon: IconFolders },
  { to: '/runs', label: 'Runs', icon: IconPlayerPlay },
  { to: '/releases', label: 'Releases', icon: IconRocket },
  { to: '/approvals', label: 'Approvals', icon: IconChecks },
  { to: '/agents', label: 'Agents', icon: IconTopologyStar3, action: 'agent:read' },
  { to: '/explore', label: 'Metrics', icon: IconChartLine, action: 'metrics:read', server: true },
  { to: '/runners', label: 'Runners', icon: IconServer2, action: 'runner:read' },
  { to: '/audit', label: 'Audit trail', icon: IconHistory, action: 'event:read' },
  { to: '/settings', label: 'Settings', icon: IconSettings },
] as const;

export function Shell() {
  const client = useQueryClient();
  const [opened, menu] = useDisclosure(false);
  const location = useLocation();
  const link = useLink();
  useGlobalKeys();
  useEffect(() => listen(client), [client]);
  useEffect(() => menu.close(), [location.pathname]);
  return (
    <>
      <a href="#main" className={classes.skip}>Skip to the content</a>
      <div className={classes.top}>
        <ActionIcon variant="subtle" color="gray" onClick={menu.open} aria-label="Open the menu"><IconMenu2 size={20} /></ActionIcon>
        <Brand />
      </div>
      <div className={classes.shell}>
        <aside className={classes.side} aria-label="Gantry">
          <Brand />
          <Places />
          <Foot />
        </aside>
        <main id="main" tabIndex={-1} className={classes.main} style={{ outline: 'none' }}>
          {link === 'lost' && <div className={classes.lost} role="status">The connection to the server is lost. What you see may be old; it is tried again by itself.</div>}
          <Outlet />
        </main>
      </div>
      <Drawer opened={opened} onClose={menu.close} size={260} title={<Brand />} closeButtonProps={{ 'aria-label': 'Close the menu' }}>
        <div className={classes.drawer}>
          <Places />
          <Foot />
        </div>
      </Drawer>
      <Help />
      <ScrollRestoration />
    </>
  );
}

function Brand() {
  return <Link to="/" className={classes.brand} aria-label="Gantry: overview"><Mark />Gantry</Link>;
}

function Places() {
  const me = useMe();
  const waiting = useQuery(q.approvals({ status: 'waiting', limit: 100 })).data?.length ?? 0;
  return (
    <nav className={classes.nav} aria-label="Screens">
      {places.filter((p) => !('action' in p) || ('server' in p ? may : mayAnywhere)(me, p.action)).map((p) => (
        <NavLink key={p.to} to={p.to} end={p.to === '/'} className={classes.link}>
          <p.icon size={17} stroke={1.7} />
          {p.label}
          {p.to === '/approvals' && waiting > 0 && <span className={classes.badge} aria-label={`${waiting} waiting`}>{waiting}</span>}
        </NavLink>
      ))}
    </nav>
  );
}

const linkWords = { off: 'Not live', connecting: 'Connecting', live: 'Live', lost: 'Connection lost' } as const;

function Foot() {
  const me = useMe();
  const link = useLink();
  const client = useQueryClient();
  const navigate = useNavigate();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const signOut = async () => {
    try {
      await change('DELETE', '/session');
    } catch (e) {
      return tellProblem(e);
    }
    client.clear();
    void navigate('/sign-in');
  };
  const schemes: [typeof colorScheme, string, ReactNode][] = [
    ['light', 'Light', <IconSun size={15} key="l" />],
    ['dark', 'Dark', <IconMoon size={15} key="d" />],
    ['auto', 'As the system', <IconDeviceDesktop size={15} key="a" />],
  ];
  return (
    <div className={classes.foot}>
      <div className={classes.state} title={me ? `Gantry ${me.server.version} on ${me.server.database}` : undefined}>
        <span className={classes.dot} data-link={link} />
        <span role="status">{linkWords[link]}</span>
      </div>
      <Menu position="top-start" width={200}>
        <Menu.Target>
          <UnstyledButton className={classes.account}>
            <span className={classes.initial}>{me?.identity.name.slice(0, 1)}</span>
            <span className="clip">{me?.identity.name}</span>
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconUser size={15} />} onClick={() => void navigate('/settings/me')}>My tokens, my password</Menu.Item>
          <Menu.Item leftSection={<IconKeyboard size={15} />} onClick={openHelp}>Keyboard</Menu.Item>
          <Menu.Divider />
          <Menu.Label>Appearance</Menu.Label>
          {schemes.map(([value, label, icon]) => (
            <Menu.Item key={value} leftSection={icon} onClick={() => setColorScheme(value)} fw={colorScheme === value ? 650 : undefined} aria-current={colorScheme === value}>{label}</Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => void signOut()}>Sign out</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}
