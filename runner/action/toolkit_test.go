package action_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
)

// toolkitPackages are the vendor's clients, in the versions that their actions of major version 4 are built with.
var toolkitPackages = []string{"@actions/artifact@2.3.2", "@actions/cache@4.1.0"}

// toolkit installs the vendor's clients in a temporary folder, once, and returns its node_modules.
func toolkit(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the vendor's npm packages are not installed, and the services not tested against them")
	}
	needs(t, "node")
	needs(t, "npm")
	modules, err := installToolkit()
	if err != nil {
		t.Skipf("npm cannot install %s, so the services are not tested against the vendor's clients: %v", strings.Join(toolkitPackages, " "), err)
	}
	return modules
}

var toolkitDir string // removed by TestMain

var installToolkit = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gantry-toolkit-")
	if err != nil {
		return "", err
	}
	toolkitDir = dir
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	defer stop()
	args := append([]string{"install", "--prefix", dir, "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"}, toolkitPackages...)
	cmd := exec.CommandContext(ctx, "npm", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		last := strings.TrimSpace(string(out))
		return "", fmt.Errorf("%w: %s", err, last[max(0, len(last)-300):])
	}
	return filepath.Join(dir, "node_modules"), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if toolkitDir != "" {
		os.RemoveAll(toolkitDir)
	}
	os.Exit(code)
}

const artifactProgram = `
const fs = require('fs'), path = require('path'), assert = require('assert');
const {DefaultArtifactClient} = require('@actions/artifact');
(async () => {
  const c = new DefaultArtifactClient(), dir = process.env.GITHUB_WORKSPACE;
  fs.mkdirSync(path.join(dir, 'up/sub'), {recursive: true});
  fs.writeFileSync(path.join(dir, 'up/a.txt'), 'from the toolkit');
  const big = require('crypto').randomBytes(20 << 20);
  fs.writeFileSync(path.join(dir, 'up/sub/big'), big);
  const up = await c.uploadArtifact('js', [path.join(dir, 'up/a.txt'), path.join(dir, 'up/sub/big')], path.join(dir, 'up'), {retentionDays: 3, compressionLevel: 0});
  assert(up.id > 0 && up.size > 20 << 20 && up.digest.length === 64, JSON.stringify(up));
  await assert.rejects(c.uploadArtifact('js', [path.join(dir, 'up/a.txt')], dir), /already exists/);
  const names = (await c.listArtifacts()).artifacts.map(a => a.name).sort();
  assert.deepStrictEqual(names, ['go', 'js']);
  const {artifact} = await c.getArtifact('js');
  assert.strictEqual(artifact.id, up.id);
  assert.strictEqual(artifact.digest, 'sha256:' + up.digest);
  assert(artifact.createdAt instanceof Date && !isNaN(artifact.createdAt));
  const down = await c.downloadArtifact(up.id, {path: path.join(dir, 'down'), expectedHash: artifact.digest});
  assert.strictEqual(down.digestMismatch, false);
  assert(fs.readFileSync(path.join(dir, 'down/sub/big')).equals(big));
  const go = await c.getArtifact('go');
  await c.downloadArtifact(go.artifact.id, {path: path.join(dir, 'down')});
  assert.strictEqual(fs.readFileSync(path.join(dir, 'down/go.txt'), 'utf8'), 'from go\n');
  await c.uploadArtifact('gone', [path.join(dir, 'up/a.txt')], dir);
  assert((await c.deleteArtifact('gone')).id > 0);
  await assert.rejects(c.getArtifact('gone'), /not found/);
  console.log('artifacts work');
})().catch(e => { console.error(e); process.exit(1); });
`

// The actions of the vendor find what the built-in ones have stored, and the other way round.
func TestToolkitArtifacts(t *testing.T) {
	w := newWorld(t)
	w.env.Set("NODE_PATH", toolkit(t))
	w.remote("acme/artifact", map[string]string{"action.yml": `{"using": "node20", "main": "main.js"}`, "main.js": artifactProgram})
	o := w.run(nil, sh("make", "echo from go > go.txt"),
		use("go", "actions/upload-artifact@v4", mapping{"name": "go", "path": "go.txt"}),
		use("js", "acme/artifact@v1", nil),
		use("back", "actions/download-artifact@v4", mapping{"name": "js", "path": "back"}),
		sh("look", "cat back/a.txt; cmp back/sub/big up/sub/big && echo same"))
	o.wants(pipeline.Success, "artifacts work", "from the toolkit", "same")
}

const cacheProgram = `
const fs = require('fs'), path = require('path'), assert = require('assert');
const cache = require('@actions/cache');
(async () => {
  const dir = process.env.GITHUB_WORKSPACE;
  process.chdir(dir);
  assert(cache.isFeatureAvailable());
  assert.strictEqual(await cache.restoreCache(['js'], 'js-1', ['js-']), undefined);
  fs.mkdirSync('js/sub', {recursive: true});
  fs.writeFileSync('js/sub/f', 'from the toolkit');
  fs.writeFileSync('js/big', require('crypto').randomBytes(3 << 20));
  assert(await cache.saveCache(['js'], 'js-1') > 0);
  assert.strictEqual(await cache.saveCache(['js'], 'js-1'), -1);
  fs.renameSync('js', 'old');
  assert.strictEqual(await cache.restoreCache(['js'], 'js-2', ['none', 'js-']), 'js-1');
  assert(fs.readFileSync('js/big').equals(fs.readFileSync('old/big')));
  fs.rmSync('js', {recursive: true});
  assert.strictEqual(await cache.restoreCache(['js'], 'js-1', [], {lookupOnly: true}), 'js-1');
  assert(!fs.existsSync('js'));
  fs.rmSync('go', {recursive: true});
  assert.strictEqual(await cache.restoreCache(['go'], 'go-1'), 'go-1');
  assert.strictEqual(fs.readFileSync('go/f', 'utf8'), 'from go\n');
  console.log('caches work', process.env.GITHUB_SERVER_URL);
})().catch(e => { console.error(e); process.exit(1); });
`

// Version 2 of the cache service serves repositories at the vendor's own address, the older one all others.
func TestToolkitCaches(t *testing.T) {
	modules := toolkit(t)
	for _, server := range []string{"https://github.com", "https://git.example.com"} {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t)
			w.repo.Server = server
			w.env.Set("NODE_PATH", modules)
			w.remote("acme/cache", map[string]string{"action.yml": `{"using": "node20", "main": "main.js"}`, "main.js": cacheProgram})
			o := w.run(nil, sh("make", "mkdir go; echo from go > go/f"),
				use("go", "actions/cache/save@v4", mapping{"path": "go", "key": "go-1"}),
				use("js", "acme/cache@v1", nil),
				use("back", "actions/cache/restore@v4", mapping{"path": "js", "key": "js-9", "restore-keys": "js-"}),
				sh("look", "cat js/sub/f; cmp js/big old/big && echo same"))
			o.wants(pipeline.Success, "caches work "+server, "Cache restored from key: js-1", "from the toolkit", "same")
		})
	}
}
