package service

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/runner/storage"
)

// client talks to a server as a job.
type client struct {
	t     *testing.T
	s     *Server
	token string
	run   string
}

func newClient(t *testing.T) *client {
	t.Helper()
	s, err := Start(Options{Artifacts: storage.OpenArtifacts(t.TempDir(), nil), Caches: storage.OpenCaches(t.TempDir(), 0, nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := &client{t: t, s: s, token: s.Token("7", "build (1)", "acme/app")}
	c.run = s.jobs[c.token].runID
	return c
}

func (c *client) do(method, url, body string, headers ...string) (int, string) {
	c.t.Helper()
	if !strings.HasPrefix(url, "http") {
		url = c.s.URL() + url
	}
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// call calls a Twirp method and returns the answer's members.
func (c *client) call(want int, method, request string) map[string]any {
	c.t.Helper()
	service := "ArtifactService"
	if strings.Contains(method, "Cache") {
		service = "CacheService"
	}
	request = strings.ReplaceAll(request, "RUN", c.run)
	status, body := c.do("POST", "twirp/github.actions.results.api.v1."+service+"/"+method, request, "Content-Type", "application/json")
	if status != want {
		c.t.Fatalf("%s: status %d, want %d: %s", method, status, want, body)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		c.t.Fatalf("%s: %v: %s", method, err, body)
	}
	return out
}

func (c *client) put(want int, url, body string) {
	c.t.Helper()
	if status, answer := c.do("PUT", url, body); status != want {
		c.t.Fatalf("PUT: status %d, want %d: %s", status, want, answer)
	}
}

const artifactX = `{"workflow_run_backend_id":"RUN","workflow_job_run_backend_id":"j","name":"x"`

func TestToken(t *testing.T) {
	c := newClient(t)
	parts := strings.Split(c.token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Scp string }
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	if f := strings.Split(claims.Scp, ":"); len(f) != 3 || f[0] != "Actions.Results" || f[1] != c.run {
		t.Errorf("scp is %q", claims.Scp)
	}
	good := c.token
	for _, bad := range []string{"", "x", parts[0] + "." + parts[1] + ".", good + "x"} {
		c.token = bad
		c.call(http.StatusUnauthorized, "ListArtifacts", `{"workflow_run_backend_id":"RUN"}`)
		if status, _ := c.do("GET", "_apis/artifactcache/cache?keys=a&version=v", ""); status != http.StatusUnauthorized {
			t.Errorf("%q: status %d", bad, status)
		}
	}
}

func TestArtifactBlocks(t *testing.T) {
	c := newClient(t)
	up := c.call(200, "CreateArtifact", artifactX+`,"version":4,"expires_at":"2999-01-01T00:00:00Z"}`)
	url := up["signed_upload_url"].(string)
	id := func(i int) string { return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "block/%d+", i)) }
	for i := range 3 {
		c.put(201, url+"&comp=block&blockid="+strings.NewReplacer("+", "%2B", "/", "%2F").Replace(id(i)), strings.Repeat(fmt.Sprint(i), 4))
	}
	c.call(400, "FinalizeArtifact", artifactX+`,"size":"12"}`)
	up = c.call(200, "CreateArtifact", artifactX+`,"version":4}`)
	url = up["signed_upload_url"].(string)
	for i := range 3 {
		c.put(201, url+"&comp=block&blockid="+strings.NewReplacer("+", "%2B", "/", "%2F").Replace(id(i)), strings.Repeat(fmt.Sprint(i), 4))
	}
	list := "<BlockList><Latest>" + id(2) + "</Latest><Latest>" + id(0) + "</Latest><Uncommitted>" + id(1) + "</Uncommitted></BlockList>"
	c.put(201, url+"&comp=blocklist", list)
	c.put(400, url+"&comp=blocklist", "<BlockList><Latest>none</Latest></BlockList>")
	c.put(201, url+"&comp=blocklist", list)
	c.put(400, url+"&comp=lease", "")
	done := c.call(200, "FinalizeArtifact", artifactX+`,"size":"12"}`)
	c.put(404, url, "too late")

	all := c.call(200, "ListArtifacts", `{"workflow_run_backend_id":"RUN","id_filter":"`+done["artifact_id"].(string)+`"}`)["artifacts"].([]any)
	if len(all) != 1 || all[0].(map[string]any)["size"] != "12" {
		t.Fatalf("list: %v", all)
	}
	if none := c.call(200, "ListArtifacts", `{"workflow_run_backend_id":"RUN","name_filter":"y"}`)["artifacts"].([]any); len(none) != 0 {
		t.Errorf("list of y: %v", none)
	}
	get := c.call(200, "GetSignedArtifactURL", artifactX+"}")["signed_url"].(string)
	c.token = "" // the address is enough
	if status, body := c.do("GET", get, ""); status != 200 || body != "222200001111" {
		t.Errorf("%d %q", status, body)
	}
	if status, body := c.do("GET", get, "", "Range", "bytes=3-5"); status != 206 || body != "200" {
		t.Errorf("%d %q", status, body)
	}
	if status, _ := c.do("GET", c.s.URL()+"download/abc/x", ""); status != 404 {
		t.Errorf("a guessed address: %d", status)
	}
}

func TestArtifactErrors(t *testing.T) {
	c := newClient(t)
	upload := func() {
		url := c.call(200, "CreateArtifact", artifactX+`,"version":4}`)["signed_upload_url"].(string)
		c.put(201, url, "content")
	}
	upload()
	c.call(400, "FinalizeArtifact", artifactX+`,"size":"8"}`)
	upload()
	c.call(400, "FinalizeArtifact", artifactX+`,"size":"7","hash":"sha256:00"}`)
	c.call(404, "FinalizeArtifact", artifactX+`,"size":"7"}`)
	upload()
	c.call(200, "FinalizeArtifact", artifactX+`,"size":"7","hash":"sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"}`)
	conflict := c.call(409, "CreateArtifact", artifactX+`,"version":4}`)
	if conflict["code"] != "already_exists" || conflict["msg"] == "" {
		t.Errorf("conflict: %v", conflict)
	}
	c.call(200, "DeleteArtifact", artifactX+"}")
	c.call(404, "DeleteArtifact", artifactX+"}")
	c.call(404, "GetSignedArtifactURL", artifactX+"}")
	c.call(400, "CreateArtifact", artifactX+`,"version":3}`)
	c.call(400, "CreateArtifact", artifactX+`,"version":4,"expires_at":"2001-01-01T00:00:00Z"}`)
	c.call(400, "CreateArtifact", strings.Replace(artifactX, `"x"`, `"a/b"`, 1)+`,"version":4}`)
	c.call(404, "CreateArtifact", `{"workflow_run_backend_id":"other","name":"x","version":4}`)
	c.call(400, "CreateArtifact", `{`)
	c.call(404, "MigrateArtifact", `{}`)
}

// Version 7 of the protocol stores single files as they are.
func TestRawArtifact(t *testing.T) {
	c := newClient(t)
	url := c.call(200, "CreateArtifact", strings.Replace(artifactX, `"x"`, `"report.html"`, 1)+`,"version":7,"mime_type":"text/html"}`)["signed_upload_url"].(string)
	c.put(201, url, "<p>")
	c.call(200, "FinalizeArtifact", strings.Replace(artifactX, `"x"`, `"report.html"`, 1)+`,"size":"3"}`)
	a, err := c.s.Artifacts.Get("7", "report.html")
	if err != nil || a.Zip || filepath.Base(a.Path()) != "report.html" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestCacheV2(t *testing.T) {
	c := newClient(t)
	if miss := c.call(200, "GetCacheEntryDownloadURL", `{"key":"k","version":"v"}`); miss["ok"] != false {
		t.Errorf("miss: %v", miss)
	}
	url := c.call(200, "CreateCacheEntry", `{"key":"k-1","version":"v"}`)["signed_upload_url"].(string)
	c.call(409, "CreateCacheEntry", `{"key":"k-1","version":"v"}`)
	c.put(201, url, "archive")
	done := c.call(200, "FinalizeCacheEntryUpload", `{"key":"k-1","version":"v","size_bytes":"7"}`)
	if done["ok"] != true || done["entry_id"] == "0" {
		t.Errorf("finalize: %v", done)
	}
	c.call(409, "CreateCacheEntry", `{"key":"k-1","version":"v"}`)
	c.call(404, "FinalizeCacheEntryUpload", `{"key":"k-1","version":"v","size_bytes":"7"}`)
	hit := c.call(200, "GetCacheEntryDownloadURL", `{"key":"k-2","restore_keys":["x","k-"],"version":"v"}`)
	if hit["ok"] != true || hit["matched_key"] != "k-1" {
		t.Fatalf("hit: %v", hit)
	}
	if status, body := c.do("GET", hit["signed_download_url"].(string), ""); status != 200 || body != "archive" {
		t.Errorf("%d %q", status, body)
	}
	c.call(400, "CreateCacheEntry", `{"key":"a,b","version":"v"}`)
	// Another repository's job sees nothing.
	c.token = c.s.Token("7", "other", "acme/other")
	if miss := c.call(200, "GetCacheEntryDownloadURL", `{"key":"k-1","version":"v"}`); miss["ok"] != false {
		t.Errorf("another scope: %v", miss)
	}
}

func TestCacheV1(t *testing.T) {
	c := newClient(t)
	const api = "_apis/artifactcache/"
	if status, _ := c.do("GET", api+"cache?keys=k&version=v", ""); status != 204 {
		t.Errorf("miss: %d", status)
	}
	status, body := c.do("POST", api+"caches", `{"key":"k","version":"v","cacheSize":8}`)
	if status != 201 || body != `{"cacheId":1}` {
		t.Fatalf("reserve: %d %s", status, body)
	}
	if status, _ := c.do("POST", api+"caches", `{"key":"k","version":"v"}`); status != 409 {
		t.Errorf("second reserve: %d", status)
	}
	// Chunks come in any order.
	for _, chunk := range [][2]string{{"bytes 4-7/*", "cdef"}, {"bytes 0-3/*", "89ab"}} {
		if status, body := c.do("PATCH", api+"caches/1", chunk[1], "Content-Range", chunk[0]); status != 204 {
			t.Errorf("chunk: %d %s", status, body)
		}
	}
	for _, bad := range []string{"", "bytes x-1/*", "bytes -1-1/*", "items 0-1"} {
		if status, _ := c.do("PATCH", api+"caches/1", "x", "Content-Range", bad); status != 400 {
			t.Errorf("%q: %d", bad, status)
		}
	}
	if status, _ := c.do("PATCH", api+"caches/99", "x", "Content-Range", "bytes 0-0/*"); status != 404 {
		t.Errorf("an unknown number: %d", status)
	}
	if status, body := c.do("POST", api+"caches/1", `{"size":8}`); status != 204 {
		t.Errorf("commit: %d %s", status, body)
	}
	status, body = c.do("GET", api+"cache?keys=x,k&version=v", "")
	var hit struct{ CacheKey, ArchiveLocation string }
	if err := json.Unmarshal([]byte(body), &hit); err != nil || status != 200 || hit.CacheKey != "k" {
		t.Fatalf("hit: %d %s", status, body)
	}
	if _, body := c.do("GET", hit.ArchiveLocation, ""); body != "89abcdef" {
		t.Errorf("archive %q", body)
	}
	if _, body := c.do("GET", api+"caches?key=k", ""); !strings.Contains(body, `"totalCount":1`) {
		t.Errorf("list: %s", body)
	}
}

// A client that knows gzip alone gets what the built-in action has saved with zstd.
func TestRecompress(t *testing.T) {
	c := newClient(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := storage.CacheEntry{Scope: "acme/app", Key: "k", Version: storage.CacheVersion([]string{"f"}, storage.Zstd), Alias: storage.CacheVersion([]string{"f"}, storage.Gzip), Compression: storage.Zstd}
	if _, err := c.s.Caches.Save(t.Context(), e, []storage.PackItem{{Name: "f", Path: filepath.Join(dir, "f")}}); err != nil {
		t.Fatal(err)
	}
	hit := c.call(200, "GetCacheEntryDownloadURL", `{"key":"k","version":"`+e.Alias+`"}`)
	_, body := c.do("GET", hit["signed_download_url"].(string), "")
	if !strings.HasPrefix(body, "\x1f\x8b") {
		t.Fatal("not gzip")
	}
	out := t.TempDir()
	err := storage.Unpack(t.Context(), bytes.NewReader([]byte(body)), func(name string) (string, error) { return filepath.Join(out, name), nil })
	if b, _ := os.ReadFile(filepath.Join(out, "f")); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestClose(t *testing.T) {
	c := newClient(t)
	c.call(200, "CreateArtifact", artifactX+`,"version":4}`)
	if err := c.s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(c.s.Artifacts.RunDir("7")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestListen(t *testing.T) {
	c := newClient(t)
	a, err := c.s.Listen("127.0.0.2")
	if err != nil {
		t.Skipf("another address of the loopback interface cannot be listened on: %v", err)
	}
	if b, _ := c.s.Listen("127.0.0.2"); a != b || !strings.HasPrefix(a, "http://127.0.0.2:") {
		t.Errorf("%s, %s", a, b)
	}
	// Addresses handed out are those by which the client has come.
	status, body := c.do("POST", a+"twirp/github.actions.results.api.v1.CacheService/CreateCacheEntry", `{"key":"k","version":"v"}`)
	if status != 200 || !strings.Contains(body, a+"upload/") {
		t.Errorf("%d %s", status, body)
	}
}

func FuzzBlockList(f *testing.F) {
	f.Add("<BlockList><Latest>a</Latest></BlockList>")
	f.Add("<BlockList>")
	f.Fuzz(func(_ *testing.T, s string) { readBlockList(strings.NewReader(s)) })
}
