/** A person ships a service in the browser, lets it into production, and watches a bad version go back by itself, against a real server, agent and load. */
import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { open, picture, shots, type Window } from './browser';
import { freePort, start, type Server } from './server';

const password = 'correct horse battery staple';

/** A service of a version; of a bad one every other answer is an error. */
const orders = (version: number, bad = false) => `const http = require('node:http');
let n = 0;
http.createServer((q, r) => {
  if (q.url === '/ready') return r.end('ready');
  n++;
  r.statusCode = ${bad} && n % 2 === 1 ? 500 : 200;
  r.end('version ${version}');
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('orders, version ${version}, listens'));
`;

const files = (ports: [number, number]) => () => ({
  'orders/server.js': orders(1),
  '.github/workflows/ci.yml': `name: CI
on: [push, workflow_dispatch]
jobs:
  orders:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - uses: actions/upload-artifact@v4
        with: { name: orders, path: orders/server.js }
`,
  'gantry.yaml': `name: desk
services:
  orders:
    command: { shell: exec node "$GANTRY_BUNDLE/server.js" }
    ports: { http: {} }
    health: { http: /ready, interval: 200ms, min-healthy: 500ms }
environments:
  - name: staging
    services:
      orders:
        ports: { http: { listen: "127.0.0.1:${ports[0]}" } }
        strategy: { canary: { steps: [{ weight: 20%, for: 4s }] } }
        analysis: { errors: { samples: 10 }, latency: none }
  - name: production
    gates: { approvals: { count: 1 } }
    services:
      orders:
        ports: { http: { listen: "127.0.0.1:${ports[1]}" } }
        strategy: rolling
`,
});

let server: Server;
let w: Window;
let ports: [number, number];
const load = { sent: 0, versions: new Set<string>(), failing: new Set<string>() };
let pacer: ReturnType<typeof setInterval> | undefined;

beforeAll(async () => {
  ports = [await freePort(), await freePort()];
  server = await start(files(ports), 'Take orders');
  w = await open(server.url);
});

afterAll(async () => {
  clearInterval(pacer);
  await w?.close();
  await server?.stop();
});

afterEach(async (c) => {
  if (c.task.result?.state === 'fail') await w.page.screenshot({ path: `${shots}/failed-release.png` });
});

const go = (path: string) => w.page.goto(server.url + path);
const wrong: string[] = [];

async function look(name: string): Promise<void> {
  wrong.push(...(await picture(w.page, name)));
}

/** Asks the service once, as its users do. */
function ask(port: number): Promise<{ status: number; text: string }> {
  return new Promise((done) => {
    const q = request({ host: '127.0.0.1', port, path: '/', agent: false, timeout: 5000 }, (r) => {
      let text = '';
      r.on('data', (b: Buffer) => (text += b.toString()));
      r.on('end', () => done({ status: r.statusCode ?? 0, text }));
    });
    q.on('error', () => done({ status: 0, text: '' }));
    q.end();
  });
}

/** Ships what the folder has now, by the dialog on the project's page. */
async function ship(to: string[] = []): Promise<void> {
  const { page } = w;
  await go('/projects/desk/releases');
  await page.getByRole('button', { name: 'Ship' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('heading', { name: /Ship/ }).waitFor();
  for (const e of to) {
    await dialog.getByRole('textbox', { name: 'Environments' }).click();
    await page.getByRole('option', { name: e }).click();
    await page.keyboard.press('Tab');
  }
  if (to.length === 0) await look('release-ship');
  await dialog.getByRole('button', { name: 'Ship', exact: true }).click();
  await page.waitForURL(/\/releases\/\d+/);
}

const status = (text: string, timeout = 45_000) => w.page.locator('dl dd').first().getByText(text, { exact: true }).waitFor({ timeout });

test('a project is there, and nothing of it runs', async () => {
  const { page } = w;
  await page.goto(server.link);
  await page.locator('[name=name]').fill('ann');
  await page.locator('[name=password]').fill(password);
  await page.locator('[name=again]').fill(password);
  await page.getByRole('button', { name: /make the account/i }).click();
  await page.getByText('Nothing has run yet').waitFor();
  await go('/projects?new=1');
  await page.getByText('Folder on the server').click();
  await page.getByRole('textbox', { name: 'Folder', exact: true }).fill(server.folder);
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('heading', { name: 'desk' }).waitFor();
  await page.getByRole('tab', { name: 'Releases' }).click();
  await page.getByText('Nothing of it runs yet').waitFor();
  await look('release-none');
  await go('/agents');
  await page.getByRole('heading', { name: 'Agents' }).waitFor();
  await look('agents-none');
});

test('the first release comes to staging, and waits for another person before production', async () => {
  const { page } = w;
  await ship();
  await page.getByText('0 of 1 approval').waitFor({ timeout: 50_000 });
  await page.getByText('waits at its gate').waitFor();
  await page.getByText('nobody decides about a release that they have begun', { exact: false }).waitFor();
  await look('release-gated');
  expect((await ask(ports[0])).text).toBe('version 1');
});

test('another person lets it in', async () => {
  const { page, context } = w;
  const csrf = await page.evaluate(async () => ((await (await fetch('/api/v1/me')).json()) as { csrf?: string; identity: { csrf?: string } }));
  const made = await page.request.post(`${server.url}/api/v1/accounts`, { headers: { 'X-CSRF-Token': csrf.csrf ?? csrf.identity.csrf ?? '' }, data: { name: 'bo', password, grants: [{ project: '*', role: 'releaser' }] } });
  expect(made.status(), await made.text()).toBeLessThan(300);
  const other = await context.browser()!.newContext({ viewport: { width: 1360, height: 900 } });
  const theirs = await other.newPage();
  theirs.setDefaultTimeout(20_000);
  await theirs.goto(page.url());
  await theirs.locator('[name=name]').fill('bo');
  await theirs.locator('[name=password]').fill(password);
  await theirs.getByRole('button', { name: 'Sign in' }).click();
  await theirs.getByRole('button', { name: 'Approve' }).click();
  await theirs.getByRole('dialog').getByRole('textbox', { name: 'Comment' }).fill('seen in staging');
  await theirs.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
  await other.close().catch(() => undefined);
  // Nobody touches this page: it is live.
  await status('Succeeded');
  await page.getByText('seen in staging', { exact: false }).waitFor();
  expect((await ask(ports[1])).text).toBe('version 1');
});

test('what runs where is shown, with hosts, processes and what they write', async () => {
  const { page } = w;
  await go('/projects/desk/releases');
  await page.getByRole('rowheader', { name: 'orders' }).waitFor();
  await look('release-matrix');
  await go('/agents');
  await page.getByRole('link', { name: 'local' }).waitFor();
  await look('agents');
  await page.getByRole('link', { name: 'local' }).click();
  await page.getByText('desk/staging').first().waitFor();
  await page.getByRole('button', { name: 'Log' }).first().click();
  await page.getByText('orders, version 1, listens').waitFor();
  await look('agent');
  await go('/agents');
  await page.getByRole('button', { name: 'Add an agent' }).click();
  await page.getByRole('dialog').getByRole('textbox', { name: 'Name' }).fill('eu-1');
  await look('agents-add');
  await page.getByRole('dialog').getByRole('button', { name: 'Make its token' }).click();
  await page.getByText('gantry agent --server').waitFor();
  await page.getByRole('button', { name: 'I have kept it' }).click();
  await page.getByText('eu-1').first().waitFor();
});

test('a bad canary is watched, and goes back by itself', async () => {
  const { page } = w;
  pacer = setInterval(() => {
    void ask(ports[0]).then((a) => {
      load.sent++;
      if (a.status !== 200) load.failing.add(a.text || `no answer (${a.status})`);
      load.versions.add(a.text);
    });
  }, 20);
  server.commit({ 'orders/server.js': orders(2, true) }, 'Take orders twice as fast');
  await ship(['staging']);
  await page.getByText('20 % of the traffic is watched', { exact: true }).waitFor({ timeout: 50_000 });
  await page.screenshot({ path: `${shots}/release-canary.png` });
  await status('Rolled back');
  await page.getByText('Withdrawn and rolled back').waitFor();
  await page.getByText('of the canary failed', { exact: false }).first().waitFor();
  await page.getByRole('img', { name: /Share of requests that fail: new/ }).waitFor();
  await look('release-rolled-back');
  await page.getByRole('button', { name: 'As a table' }).first().click();
  await page.getByRole('columnheader', { name: /^new / }).first().waitFor();
  await page.getByRole('button', { name: 'Explain' }).first().click();
  await page.getByText('it comes out the same', { exact: false }).waitFor();
  await look('release-explain');
  await page.keyboard.press('Escape');
  expect(load.versions).toContain('version 2');
  // Nobody is sent to the bad version any more.
  for (let i = 0; i < 40; i++) expect(await ask(ports[0])).toEqual({ status: 200, text: 'version 1' });
});

test('a good one is paused, resumed and gets through, and a person brings back what was there before', async () => {
  const { page } = w;
  server.commit({ 'orders/server.js': orders(3) }, 'Take orders as fast as before');
  await ship(['staging']);
  await page.getByText('20 % of the traffic is watched', { exact: true }).waitFor({ timeout: 50_000 });
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await status('Paused');
  await look('release-paused');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await status('Succeeded');
  expect((await ask(ports[0])).text).toBe('version 3');
  await page.getByRole('button', { name: 'Roll back' }).click();
  await page.getByRole('dialog').getByRole('textbox', { name: 'Reason' }).fill('the venue asks for it');
  await look('release-roll-back');
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
  await page.getByRole('heading', { name: /^Roll back release 3/ }).waitFor();
  await status('Succeeded');
  for (let i = 0; i < 20; i++) expect((await ask(ports[0])).text).toBe('version 1');
  await go('/releases');
  await page.getByText('Take orders twice as fast').waitFor();
  await look('releases');
  await page.getByRole('textbox', { name: 'Statuses' }).click();
  await page.getByRole('option', { name: 'Rolled back' }).click();
  await page.waitForURL(/status=rolled-back/);
  await page.getByRole('link', { name: 'Take orders as fast as before', exact: true }).waitFor({ state: 'hidden' });
});

test('only the bad version has failed anybody', () => {
  clearInterval(pacer);
  expect(load.sent).toBeGreaterThan(100);
  expect([...load.failing]).toEqual(['version 2']);
  expect([...load.versions].sort()).toEqual(['version 1', 'version 2', 'version 3']);
});

test('every screen of releases can be used by everybody, at every width', () => {
  expect(wrong).toEqual([]);
  expect(w.troubles).toEqual([]);
});
