/** A person asks for metrics in the browser: writes PromQL with the words that the server has, mends a mistake, looks closer, and takes the figures along. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { open, picture, shots, type Window } from './browser';
import { start, type Server } from './server';

let server: Server;
let w: Window;
const wrong: string[] = [];

beforeAll(async () => {
  server = await start();
  w = await open(server.url);
});

afterAll(async () => {
  await w?.close();
  await server?.stop();
});

afterEach(async (c) => {
  if (c.task.result?.state === 'fail') await w.page.screenshot({ path: `${shots}/failed-metrics.png` });
});

/** Minutes of two series that a service has sent: one value each ten seconds, the last one now. */
const minutes = 5;

async function send(): Promise<void> {
  const { page } = w;
  const me = await page.evaluate(async () => (await (await fetch('/api/v1/me')).json()) as { identity: { csrf: string } });
  const now = Date.now();
  const points = ['lit', 'dark'].flatMap((venue) => Array.from({ length: minutes * 6 + 1 }, (_, i) => ({
    timeUnixNano: String((now - (minutes * 6 - i) * 10_000) * 1_000_000),
    asInt: String((venue === 'lit' ? 200 : 40) + i),
    attributes: [{ key: 'venue', value: { stringValue: venue } }],
  })));
  const sent = await page.request.post(`${server.url}/prometheus/api/v1/otlp/v1/metrics`, {
    headers: { 'X-CSRF-Token': me.identity.csrf, 'Content-Type': 'application/json' },
    data: { resourceMetrics: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'orders' } }] }, scopeMetrics: [{ metrics: [{ name: 'orders_open', gauge: { dataPoints: points } }] }] }] },
  });
  expect(sent.status(), await sent.text()).toBeLessThan(300);
}

const field = (name = 'A') => w.page.getByRole('textbox', { name: `Query ${name}` });

test('the explorer offers what there is to ask', async () => {
  const { page } = w;
  await page.goto(server.link);
  await page.locator('[name=name]').fill('ann');
  await page.locator('[name=password]').fill('correct horse battery staple');
  await page.locator('[name=again]').fill('correct horse battery staple');
  await page.getByRole('button', { name: /make the account/i }).click();
  await page.getByText('Nothing has run yet').waitFor();
  await send();
  await page.getByRole('link', { name: 'Metrics' }).click();
  await page.waitForURL(/\/explore$/);
  await field().waitFor();
  await page.getByRole('button', { name: 'orders_open' }).waitFor();
  wrong.push(...(await picture(page, 'metrics-none')));
});

test('a query is written with the server’s words, and drawn', async () => {
  const { page } = w;
  await field().click();
  await page.keyboard.type('sum by (venue) (orders_o');
  await page.getByRole('option', { name: /orders_open/ }).first().waitFor();
  await page.screenshot({ path: `${shots}/metrics-words.png` });
  await page.getByRole('option', { name: /orders_open/ }).first().click();
  await page.keyboard.type('{ven');
  await page.getByRole('option', { name: 'venue' }).first().click();
  await page.keyboard.type('=~"lit|dark"');
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=sum/);
  await page.getByRole('img', { name: /venue lit 230/ }).waitFor();
  await page.getByText('venue dark').waitFor();
  expect(new URL(page.url()).searchParams.getAll('q')).toEqual(['sum by (venue) (orders_open{venue=~"lit|dark"})']);
  wrong.push(...(await picture(page, 'metrics-graph')));
});

test('a mistake is shown where it is', async () => {
  const { page } = w;
  await page.getByRole('button', { name: 'Another query' }).click();
  await field('B').click();
  await page.keyboard.type('sum(orders_open) + summ(up)');
  await page.keyboard.press('Escape');
  await page.getByRole('region', { name: 'Query B' }).getByRole('button', { name: 'Run' }).click();
  await page.getByText('The query is not understood').waitFor();
  await page.locator('pre mark', { hasText: 'summ' }).waitFor();
  wrong.push(...(await picture(page, 'metrics-mistake')));
  // The first query is still there, and what is wrong with the second keeps nobody from reading it.
  await page.getByRole('img', { name: /venue lit 230/ }).waitFor();
  await page.getByRole('button', { name: 'Remove query B' }).click();
  await page.getByText('The query is not understood').waitFor({ state: 'hidden' });
});

test('a step that is too short is told before it is asked', async () => {
  const { page } = w;
  await page.getByRole('textbox', { name: 'Range' }).click();
  await page.getByRole('option', { name: 'Last 2 weeks' }).click();
  await page.getByRole('textbox', { name: 'Step' }).fill('1s');
  await page.getByRole('textbox', { name: 'Step' }).press('Enter');
  await page.getByText('take 2m or more', { exact: false }).waitFor();
  await page.getByRole('textbox', { name: 'Step' }).fill('soon');
  await page.getByText('Like 15s, 1m or 2h').waitFor();
  await page.getByRole('textbox', { name: 'Step' }).fill('');
  await page.getByRole('textbox', { name: 'Step' }).press('Enter');
  await page.getByRole('textbox', { name: 'Range' }).click();
  await page.getByRole('option', { name: 'Last 5 minutes' }).click();
  await page.getByRole('img', { name: /venue lit/ }).waitFor();
});

test('one looks closer by drawing over the plot, and goes back', async () => {
  const { page } = w;
  const plot = await page.locator('.u-over').first().boundingBox();
  await page.mouse.move(plot!.x + plot!.width * 0.3, plot!.y + 40);
  await page.mouse.down();
  await page.mouse.move(plot!.x + plot!.width * 0.6, plot!.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=.*to=/);
  const at = new URL(page.url()).searchParams;
  const seconds = (Date.parse(at.get('to')!) - Date.parse(at.get('from')!)) / 1000;
  expect(seconds).toBeGreaterThan(70);
  expect(seconds).toBeLessThan(110);
  await page.goBack();
  await page.waitForURL(/range=5m/);
});

test('values are a table, and both are files', async () => {
  const { page } = w;
  const download = async () => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download the answer of query A as CSV' }).click()]);
    expect(file.suggestedFilename()).toBe('query-a.csv');
    return readFileSync((await file.path())!, 'utf8').trimEnd().split('\r\n');
  };
  await page.getByRole('img', { name: /venue lit/ }).waitFor();
  const drawn = await download();
  expect(drawn[0]).toBe('time,"{venue=""dark""}","{venue=""lit""}"');
  expect(drawn.length).toBeGreaterThan(100);
  await page.getByText('Values', { exact: true }).click();
  await page.getByRole('cell', { name: '230', exact: true }).waitFor();
  expect(await download()).toEqual(expect.arrayContaining(['venue,value', 'lit,230', 'dark,70']));
  wrong.push(...(await picture(page, 'metrics-values')));
});

test('a link shows somebody else the same', async () => {
  const { page } = w;
  await page.goto(`${server.url}/explore?q=orders_open%7Bvenue%3D%22lit%22%7D&q=up&range=15m&refresh=5s`);
  await page.getByRole('img', { name: /orders_open.* 230/ }).waitFor();
  await field('B').waitFor();
  expect(await page.getByRole('textbox', { name: 'Refresh' }).inputValue()).toBe('Every 5 seconds');
  // "/" goes to the first query, wherever one is.
  await page.keyboard.press('/');
  await page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'Query A');
});

test('the explorer can be used by everybody, at every width', () => {
  expect(wrong).toEqual([]);
  expect(w.troubles.filter((t) => !t.startsWith('400 GET /api/v1/metrics/query_range'))).toEqual([]);
});
