/** What a person does with the server, from the first link to the audit trail, in a real browser against a real server. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { open, picture, shots, type Window } from './browser';
import { manyLines, start, type Server } from './server';

const password = 'correct horse battery staple';

let server: Server;
let w: Window;
/** The address of the first run's page. */
let firstRun = '';

beforeAll(async () => {
  server = await start();
  w = await open(server.url);
});

afterAll(async () => {
  await w?.close();
  await server?.stop();
});

// Where a test fails, the picture of what was on the screen says more than the message.
afterEach(async (c) => {
  if (c.task.result?.state === 'fail') await w.page.screenshot({ path: `${shots}/failed.png` });
});

const go = (path: string) => w.page.goto(server.url + path);
const status = () => w.page.locator('dl dd').first();

/** What is wrong with the screens that were looked at, gathered to be told of at once. */
const wrong: string[] = [];

/** Takes the pictures of the screen that is shown, and looks whether everybody can use it. */
async function look(name: string): Promise<void> {
  wrong.push(...(await picture(w.page, name)));
}

test('the first account is made by the one-time link', async () => {
  const { page } = w;
  await go('/');
  await page.getByText('This server is new').waitFor();
  await look('sign-in');
  w.troubles.length = 0; // who is not signed in is told so with 401
  await page.goto(server.link);
  await page.locator('[name=name]').fill('ann');
  await page.locator('[name=password]').fill('short');
  await page.locator('[name=again]').fill('short');
  await page.getByRole('button', { name: /make the account/i }).click();
  await page.getByText(/at least/).first().waitFor();
  await look('welcome');
  w.troubles.length = 0; // the short password was refused
  await page.locator('[name=password]').fill(password);
  await page.locator('[name=again]').fill(password);
  await page.getByRole('button', { name: /make the account/i }).click();
  await page.getByText('Nothing has run yet').waitFor();
  expect(page.url()).not.toContain('token');
  await look('overview-empty');
});

test('a project is added', async () => {
  const { page } = w;
  await page.getByRole('link', { name: 'Add a project' }).click();
  await page.getByText('Folder on the server').click();
  await page.getByRole('textbox', { name: 'Folder', exact: true }).fill(server.folder);
  await look('projects-add');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('heading', { name: 'desk' }).waitFor();
  await page.getByText('.github/workflows/delivery.yml').waitFor();
});

test('production asks for an approval, and a secret is kept', async () => {
  const { page } = w;
  await page.getByRole('tab', { name: 'Environments' }).click();
  await page.getByRole('button', { name: 'Add an environment' }).click();
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('production');
  await page.getByLabel('Who started the run may not approve it').uncheck();
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('1 approval, within 720 hours').waitFor();
  await look('project-environments');
  await page.getByRole('tab', { name: 'Secrets' }).click();
  await page.getByRole('button', { name: 'Set a secret' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill('VENUE_TOKEN');
  await page.getByRole('dialog').locator('input[type=password]').fill('s3cr3t-of-the-venue');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('cell', { name: 'VENUE_TOKEN' }).waitFor();
  await look('project-secrets');
  await page.getByRole('tab', { name: 'Variables' }).click();
  await page.getByRole('button', { name: 'Set a variable' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill('REGION');
  await page.getByRole('textbox', { name: 'Value' }).fill('us-east-1');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('cell', { name: 'REGION' }).waitFor();
  await look('project-variables');
});

test('a run is started, and its log is watched while it grows', async () => {
  const { page } = w;
  await page.getByRole('button', { name: 'Start a run' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Start', exact: true }).waitFor();
  await look('start-run');
  await page.getByRole('dialog').getByRole('button', { name: 'Start', exact: true }).click();
  await page.waitForURL(/\/runs\/\d+$/);
  firstRun = new URL(page.url()).pathname;
  await page.getByRole('row', { name: /test \(1\)/i }).getByRole('link').click();
  await page.getByText('ready, shard 1').waitFor();
  expect(await page.getByText('the market is open').count()).toBe(0);
  await look('job-running');
  server.release('open');
  await page.getByText('the market is open').waitFor();
  await page.getByText('Success').first().waitFor();
});

test('the job that deploys waits for an approval and goes on with it', async () => {
  const { page } = w;
  await go('/approvals');
  await page.getByText('Deploy to production').waitFor();
  await look('approvals');
  await page.getByRole('link', { name: 'Overview', exact: true }).first().click();
  await page.getByText('Waits for an approval').waitFor();
  await look('overview-waiting');
  await go('/approvals');
  await page.getByRole('textbox', { name: 'Comment' }).fill('the desk agrees');
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByText('Nothing waits').waitFor();
  await go(firstRun);
  await page.locator('dd', { hasText: 'Success' }).first().waitFor();
  await page.getByRole('group', { name: /as a graph/ }).getByText('critical path').waitFor();
  // The job that was skipped says why.
  await page.getByText(/github\.ref == 'refs\/heads\/never'|condition/).first().waitFor();
  await look('run');
});

test('what the run has left is shown', async () => {
  const { page } = w;
  await page.getByRole('tab', { name: /Annotations/ }).click();
  await page.getByText('err is declared again').first().waitFor();
  await look('run-annotations');
  await page.getByRole('tab', { name: /Tests/ }).click();
  await page.getByText('expires at the close').first().waitFor();
  await look('run-tests');
  await page.getByRole('tab', { name: /Artifacts/ }).click();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'report-1' }).click()]);
  const zip = readFileSync(await file.path());
  expect(zip.subarray(0, 2).toString()).toBe('PK');
  await look('run-artifacts');
  await page.getByRole('tab', { name: /Jobs/ }).click();
  await page.getByText('One warning, no errors.').waitFor();
  await page.getByRole('row', { name: /deploy/ }).getByRole('link').click();
  await page.getByText('shipped with ***').waitFor();
});

test('failed jobs are run again, and only those', async () => {
  const { page } = w;
  server.fail(true);
  await go(firstRun);
  await page.getByRole('button', { name: 'Re-run all jobs' }).click();
  await page.locator('dd', { hasText: 'Failed' }).first().waitFor();
  await page.getByRole('tab', { name: /Tests/ }).click();
  await page.getByText('want 1, got 2').first().waitFor();
  await look('run-failed');
  await go('/');
  await page.getByText('Red: the newest run').waitFor();
  await look('overview');
  server.fail(false);
  await go(firstRun);
  await page.getByRole('button', { name: 'Re-run failed jobs' }).click();
  await page.getByRole('row', { name: /lint/ }).getByText('from an earlier attempt').waitFor();
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.locator('dd', { hasText: 'Success' }).first().waitFor();
});

test('a log of 1.3 million lines opens at once, scrolls, is searched and linked to', async () => {
  const { page } = w;
  await go('/projects/desk');
  await page.getByRole('button', { name: 'Start Long' }).click();
  await page.getByRole('textbox', { name: 'venue' }).waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Start', exact: true }).click();
  await page.waitForURL(/\/runs\/\d+$/);
  const run = new URL(page.url()).pathname;
  const row = page.getByRole('row', { name: /long/ });
  await row.getByRole('img', { name: 'Success' }).waitFor();
  await row.getByRole('link').click();
  await page.getByText('order 1 at lit', { exact: true }).waitFor();
  const address = page.url();
  await page.keyboard.press('Shift+G');
  await page.getByText(`order ${manyLines} at lit`, { exact: true }).waitFor();
  await page.goto(`${address}#L650000`);
  await page.reload();
  await page.getByText('order 650000 at lit', { exact: true }).waitFor();
  await look('job-long');
  await page.getByPlaceholder(/regular expression/).fill('^order 1234[0-9]{2} at');
  await page.getByPlaceholder(/regular expression/).press('Enter');
  await page.getByText('order 123400 at lit', { exact: true }).waitFor();
  await look('job-search');
  expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(3000);
  await go(run);
});

test('a run is cancelled', async () => {
  const { page } = w;
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.locator('dd', { hasText: 'Cancelled' }).first().waitFor();
  expect(await status().textContent()).toContain('Cancelled');
});

test('lists, settings and the audit trail', async () => {
  const { page } = w;
  for (const [path, text, name] of [
    ['/runs', 'Delivery', 'runs'],
    ['/projects', 'desk', 'projects'],
    ['/projects/desk', 'Pipelines', 'project'],
    ['/projects/desk/webhooks', '/hooks/desk', 'project-webhooks'],
    ['/projects/desk/settings', 'Remove desk', 'project-settings'],
    ['/runners', 'in the server', 'runners'],
    ['/audit', 'run.finished', 'audit'],
    ['/settings/me', 'all projects, and the server', 'settings-me'],
    ['/settings/accounts', 'Make an account', 'settings-accounts'],
    ['/settings/server', 'Rotate the key of secrets', 'settings-server'],
  ] as const) {
    await go(path);
    await page.getByText(text, { exact: false }).first().waitFor();
    await look(name);
  }
  await go('/runs?status=cancelled');
  await page.getByText('Long').first().waitFor();
  expect(await page.getByText('Delivery #').count()).toBe(0);
});

test('the keyboard alone is enough', async () => {
  const { page } = w;
  await go('/');
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('r');
  await page.getByRole('heading', { name: 'Runs' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('venue');
  await page.keyboard.press('Enter');
  await page.waitForURL(/text=venue/);
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.getByRole('dialog').getByText('Keyboard').waitFor();
  await look('keyboard');
  await page.keyboard.press('Escape');
});

test('who has a narrower role sees less, and is told why', async () => {
  const { page } = w;
  await go('/settings/accounts');
  await page.getByRole('button', { name: 'Make an account' }).click();
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('bo');
  await page.getByRole('dialog').locator('input[type=password]').fill(password);
  await page.getByRole('button', { name: 'Give a role' }).click();
  await look('settings-account');
  await page.getByRole('button', { name: 'Make', exact: true }).click();
  await page.getByText('viewer').first().waitFor();
  expect(w.troubles).toEqual([]);
  await page.getByRole('button', { name: /ann/ }).first().click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in to Gantry' }).waitFor();
  await page.locator('[name=name]').fill('bo');
  await page.locator('[name=password]').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByText('What bo may').waitFor();
  expect(await page.getByRole('tab').allTextContents()).toEqual(['Mine']);
  await go('/projects/desk');
  await page.getByRole('button', { name: 'Start a run' }).hover();
  await page.getByText(/This is for developers/).waitFor();
});

test('every screen can be used by everybody, at every width', () => {
  expect(wrong).toEqual([]);
});

test('nothing secret was written to the log of the server', () => {
  expect(server.log()).not.toContain('s3cr3t-of-the-venue');
  expect(server.log()).not.toContain(password);
});
