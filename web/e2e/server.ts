/** A real server on a folder of its own, and a project whose jobs the tests hold back and let go. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Server {
  url: string;
  /** The one-time link of the first start. */
  link: string;
  /** The project's folder on the server. */
  folder: string;
  /** Lets go what waits for a file of this name. */
  release: (name: string) => void;
  /** Makes the next runs fail, or not. */
  fail: (yes: boolean) => void;
  /** Changes files of the project. */
  commit: (files: Record<string, string>, message: string) => void;
  /** Everything that the server has written so far. */
  log: () => string;
  stop: () => Promise<void>;
}

/** How many lines the long log has. */
export const manyLines = 1_300_000;

function workflows(gates: string): Record<string, string> {
  // A step waits until its file is there: tests decide when it goes on, not the clock.
  const wait = (name: string) => `while [ ! -e '${gates}/${name}' ]; do sleep 0.05; done`;
  return {
    '.github/workflows/delivery.yml': `name: Delivery
on: [push, workflow_dispatch]
jobs:
  lint:
    runs-on: ubuntu-24.04
    steps:
      - run: |
          echo "::warning file=order.go,line=12,title=Shadowed::err is declared again"
          echo "## Lint" >> "$GITHUB_STEP_SUMMARY"
          echo "One **warning**, no errors." >> "$GITHUB_STEP_SUMMARY"
  test:
    strategy:
      matrix:
        shard: [1, 2]
    runs-on: ubuntu-24.04
    steps:
      - name: Wait for the market to open
        run: |
          echo "::group::Before the bell"
          echo "quotes are stale"
          echo "::endgroup::"
          printf '\\033[32mready\\033[0m, shard \${{ matrix.shard }}\\n'
          ${wait('open')}
          echo "the market is open"
      - name: Test
        run: |
          cat > report.xml <<XML
          <testsuites><testsuite name="order" tests="3" failures="$(test -e '${gates}/fail' && echo 1 || echo 0)" time="0.42">
          <testcase classname="order" name="fills at the limit" time="0.2"/>
          <testcase classname="order" name="keeps its place in the queue" time="0.2">$(test -e '${gates}/fail' && echo '<failure message="want 1, got 2">order_test.go:75: want 1, got 2</failure>')</testcase>
          <testcase classname="order" name="expires at the close" time="0.02"><skipped/></testcase>
          </testsuite></testsuites>
          XML
          if test -e '${gates}/fail' && test \${{ matrix.shard }} = 2; then echo "::error file=order_test.go,line=75::want 1, got 2"; exit 1; fi
      - if: always()
        uses: actions/upload-artifact@v4
        with: { name: 'report-\${{ matrix.shard }}', path: report.xml }
  deploy:
    needs: [lint, test]
    environment: production
    runs-on: ubuntu-24.04
    steps:
      - run: echo "shipped with $TOKEN"
        env: { TOKEN: '\${{ secrets.VENUE_TOKEN }}' }
  tell:
    needs: deploy
    if: github.ref == 'refs/heads/never'
    runs-on: ubuntu-24.04
    steps: [{ run: 'true' }]
`,
    '.github/workflows/long.yml': `name: Long
on:
  workflow_dispatch:
    inputs:
      venue: { description: Where orders go, type: choice, options: [lit, dark], default: lit }
jobs:
  long:
    runs-on: ubuntu-24.04
    steps:
      - run: seq -f 'order %.0f at \${{ inputs.venue }}' ${manyLines}
  hold:
    needs: long
    runs-on: ubuntu-24.04
    steps:
      - run: ${wait('never')}
`,
  };
}

export async function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const s = createServer();
    s.once('error', failed);
    s.listen(0, '127.0.0.1', () => {
      const { port } = s.address() as { port: number };
      s.close(() => done(port));
    });
  });
}

/** Starts the binary that GANTRY_BIN names, with a project's folder that has the files; gates is a folder that the tests leave files in. */
export async function start(files: (gates: string) => Record<string, string> = workflows, title = 'Send orders to the venue'): Promise<Server> {
  const binary = process.env.GANTRY_BIN;
  if (!binary) throw new Error('GANTRY_BIN has to name the gantry to be tested; go test ./web sets it');
  const root = mkdtempSync(join(tmpdir(), 'gantry-e2e-'));
  const folder = join(root, 'desk');
  const gates = join(root, 'gates');
  for (const d of [folder, gates]) mkdirSync(d, { recursive: true });
  const git = (...args: string[]) => execFileSync('git', ['-c', 'user.name=ann', '-c', 'user.email=ann@example.com', ...args], { cwd: folder, stdio: 'pipe' });
  const commit = (more: Record<string, string>, message: string) => {
    for (const [file, text] of Object.entries(more)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
    git('add', '-A');
    git('commit', '-q', '-m', message);
  };
  git('init', '-q', '-b', 'main');
  commit(files(gates), title);
  const url = `http://127.0.0.1:${await freePort()}`;
  const child: ChildProcess = spawn(binary, ['up', '--data', join(root, 'data'), '--listen', url.slice('http://'.length), '--jobs', '4'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const link = await new Promise<string>((done, failed) => {
    const hear = (b: Buffer) => {
      out += b.toString();
      const m = /http\S+\/welcome#token=\S+/.exec(out);
      if (m && /msg=serving/.test(out)) done(m[0]);
    };
    child.stdout!.on('data', hear);
    child.stderr!.on('data', hear);
    child.once('exit', (code) => failed(new Error(`the server ended with ${code}:\n${out}`)));
  });
  return {
    url,
    link,
    folder,
    release: (name) => writeFileSync(join(gates, name), ''),
    fail: (yes) => (yes ? writeFileSync(join(gates, 'fail'), '') : rmSync(join(gates, 'fail'), { force: true })),
    commit,
    log: () => out,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      // Agents outlive the server, and what they run outlives them: they are told to end it.
      for (const agent of existsSync(join(root, 'data/agents')) ? readdirSync(join(root, 'data/agents')) : []) {
        execFileSync(binary, ['agent', 'stop', '--dir', join(root, 'data/agents', agent)], { stdio: 'pipe' });
      }
      rmSync(root, { recursive: true, force: true });
    },
  };
}
