/** Chromium, and the pictures that are kept of each screen. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

export const shots = join(import.meta.dirname, 'shots');

export interface Window {
  page: Page;
  context: BrowserContext;
  /** What went wrong in the page: errors of scripts, of its policy, and requests that were refused or left the machine. */
  troubles: string[];
  close: () => Promise<void>;
}

export async function open(url: string): Promise<Window> {
  const browser: Browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, colorScheme: 'light', timezoneId: 'America/New_York', reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const troubles: string[] = [];
  page.on('pageerror', (e) => troubles.push(`script: ${e}`));
  page.on('console', (m) => {
    // A refused request is told of by itself, with its address.
    if (m.type() === 'error' && !m.text().startsWith('Failed to load resource')) troubles.push(`console: ${m.text()}`);
  });
  page.on('request', (r) => {
    if (!r.url().startsWith(url) && !r.url().startsWith('data:') && !r.url().startsWith('blob:')) troubles.push(`left the server: ${r.url()}`);
  });
  page.on('response', (r) => {
    if (r.status() >= 400) troubles.push(`${r.status()} ${r.request().method()} ${new URL(r.url()).pathname}`);
  });
  return { page, context, troubles, close: () => browser.close() };
}

/** Takes the screen in light and dark and at the width of a phone, and says what is wrong with it for whom. */
export async function picture(page: Page, name: string): Promise<string[]> {
  const wrong: string[] = [];
  for (const kind of ['light', 'dark', 'phone'] as const) {
    await page.emulateMedia({ colorScheme: kind === 'dark' ? 'dark' : 'light' });
    await page.setViewportSize(kind === 'phone' ? { width: 360, height: 760 } : { width: 1360, height: 900 });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.screenshot({ path: join(shots, `${name}-${kind}.png`) });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (over > 0) wrong.push(`${name}, ${kind}: wider than the window by ${over} px`);
    wrong.push(...(await barriers(page)).map((b) => `${name}, ${kind}: ${b}`));
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1360, height: 900 });
  return wrong;
}

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What keeps people out who see, hear or move differently, by axe's rules of WCAG 2.1 A and AA. */
async function barriers(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate((await import('node:fs')).readFileSync(axe, 'utf8'));
  return page.evaluate(async () => {
    const { axe: checker } = window as unknown as { axe: { run: (c: Document, o: object) => Promise<{ violations: { id: string; help: string; nodes: { html: string }[] }[] }> } };
    const found = await checker.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] });
    return found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`);
  });
}
