package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A storm is pushes pushed to branches of their own, each told of repeats times, from senders at a time.
const (
	pushes  = 100
	repeats = 5
	senders = 64
)

const hookSecret = "a secret of the forge and the server"

// webhookStorm sends signed deliveries, and each of them several times, as forges do that got no answer. What was acknowledged has its
// run, once; what was refused was so with 503 and a time to wait, and is taken when it is sent again.
func webhookStorm(ctx context.Context, o options, dir string) (_ string, err error) {
	o.db, o.servers = "", 1
	w, err := newWorld(ctx, o, dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	s := w.servers[0]
	project := filepath.Join(dir, "project")
	commits, err := pushTo(ctx, project)
	if err != nil {
		return "", err
	}
	p := map[string]any{"id": "storm", "source": map[string]any{"url": project}, "forge": map[string]any{"kind": "github", "repository": "ann/soak"}}
	if err := w.client.do(ctx, http.MethodPost, s.address, "/api/v1/projects", p, nil); err != nil {
		return "", err
	}
	if err := w.client.do(ctx, http.MethodPut, s.address, "/api/v1/projects/storm/forge", map[string]string{"webhook_secret": hookSecret}, nil); err != nil {
		return "", err
	}
	var waiting sync.WaitGroup
	var mu sync.Mutex
	var wrong []error
	acknowledged, refused := 0, 0
	work := make(chan int)
	for range senders {
		waiting.Go(func() {
			for n := range work {
				again, err := deliver(ctx, s.address, n%pushes, commits[n%pushes])
				mu.Lock()
				if refused += again; err == nil {
					acknowledged++
				} else {
					wrong = append(wrong, err)
				}
				mu.Unlock()
			}
		})
	}
	for n := range pushes * repeats {
		work <- n
	}
	close(work)
	waiting.Wait()
	if err := errors.Join(wrong...); err != nil {
		return "", err
	}
	type row struct {
		runRow
		SHA string `json:"sha"`
	}
	var rows []row
	err = until(ctx, o.settle, "the end of all runs of the storm", func() bool {
		var err error
		rows, err = all[row](ctx, w.client, s.address, "/api/v1/runs?project=storm")
		for _, r := range rows {
			if !ended(r.Status) {
				return false
			}
		}
		return err == nil
	})
	if err != nil {
		return "", err
	}
	runs := map[string]int{}
	for _, r := range rows {
		if runs[r.SHA]++; r.Status != "success" {
			return "", fmt.Errorf("the run %s ended with %s: %s", r.ID, r.Status, r.Reason)
		}
	}
	for n, sha := range commits {
		if runs[sha] != 1 {
			return "", fmt.Errorf("the push %d was acknowledged and has %d runs", n, runs[sha])
		}
	}
	return fmt.Sprintf("%d deliveries of %d pushes were acknowledged, %d times after 503 and a wait; each push has one run", acknowledged, pushes, refused), nil
}

// pushTo makes a commit on a branch of its own for each push, with a workflow that takes no time.
func pushTo(ctx context.Context, repository string) ([]string, error) {
	const quick = "name: quick\non: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps: [{run: 'true'}]\n"
	var b strings.Builder
	for n := range pushes {
		fmt.Fprintf(&b, "commit refs/heads/push-%d\nmark :%d\ncommitter ann <ann@example.com> %d +0000\ndata 4\npush\nM 100644 inline .github/workflows/quick.yml\ndata %d\n%s\n", n, n+1, 1_700_000_000+n, len(quick), quick)
	}
	marks := filepath.Join(repository, ".git", "storm-marks")
	cmd := exec.CommandContext(ctx, "git", "fast-import", "--quiet", "--export-marks="+marks)
	cmd.Dir, cmd.Stdin = repository, strings.NewReader(b.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("git fast-import: %w: %s", err, out)
	}
	commits := make([]string, pushes)
	for n := range pushes {
		cmd := exec.CommandContext(ctx, "git", "rev-parse", "refs/heads/push-"+strconv.Itoa(n))
		cmd.Dir = repository
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("git rev-parse: %w", err)
		}
		commits[n] = strings.TrimSpace(string(out))
	}
	return commits, nil
}

// deliver sends one delivery until it is acknowledged, and says how often it was refused before.
func deliver(ctx context.Context, address string, push int, sha string) (refused int, err error) {
	body, err := json.Marshal(map[string]any{
		"ref": "refs/heads/push-" + strconv.Itoa(push), "before": strings.Repeat("0", 40), "after": sha,
		"repository": map[string]any{"full_name": "ann/soak"}, "sender": map[string]any{"login": "ann"},
	})
	if err != nil {
		return 0, err
	}
	sum := hmac.New(sha256.New, []byte(hookSecret))
	sum.Write(body)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/hooks/storm", bytes.NewReader(body))
		if err != nil {
			return refused, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-GitHub-Event", "push")
		req.Header.Set("X-GitHub-Delivery", "delivery-"+strconv.Itoa(push))
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum.Sum(nil)))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return refused, err
		}
		answer, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		res.Body.Close()
		if res.StatusCode/100 == 2 {
			return refused, nil
		}
		wait, bad := strconv.Atoi(res.Header.Get("Retry-After"))
		if res.StatusCode != http.StatusServiceUnavailable || bad != nil || wait < 1 {
			return refused, fmt.Errorf("the delivery of push %d was answered with %d, Retry-After %q: %s", push, res.StatusCode, res.Header.Get("Retry-After"), answer)
		}
		refused++
		select {
		case <-ctx.Done():
			return refused, context.Cause(ctx)
		case <-time.After(time.Duration(wait) * time.Second):
		}
	}
}
