package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent/certs"
)

func TestJoin(t *testing.T) {
	p := newPeer(t)
	c, dir := p.joined(time.Now)
	p.mux.HandleFunc("POST "+PathReport, func(w http.ResponseWriter, r *http.Request) {
		if caller(r) != "eu-1" {
			http.Error(w, "who are you", http.StatusUnauthorized)
		}
	})
	if err := c.report(t.Context(), Report{Boot: "b"}); err != nil {
		t.Error("it is not known by its certificate:", err)
	}
	// What it is known by is on disk, for its owner alone, and as good after a restart.
	s, err := os.Stat(filepath.Join(dir, identityFile))
	if err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", s.Mode(), err)
	}
	if _, err := os.Stat(filepath.Join(dir, keyFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the key of the join is still there: %v", err)
	}
	id, err := readIdentity(dir)
	if err != nil || id == nil || id.Name != "eu-1" || id.Server != p.URL {
		t.Fatalf("%+v, %v", id, err)
	}
	again, err := newClient(id.Server, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	again.id.Store(id)
	if err := again.report(t.Context(), Report{}); err != nil {
		t.Error(err)
	}
}

// TestJoinPinned: who is not the server of the token hears nothing of it.
func TestJoinPinned(t *testing.T) {
	p := newPeer(t)
	p.joins()
	other, err := certs.OpenAuthority(t.TempDir(), "Gantry", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newClient(p.URL, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, err = c.join(t.Context(), dir, p.token(other.Fingerprint()), "eu-1", Info{})
	contains(t, err, "is not the one that the token is from")
	if n := p.hit(PathJoin); n != 0 {
		t.Errorf("the token was sent %d times", n)
	}
	// The authority shown is the right one, and has not signed for this host.
	c.server.Host = strings.Replace(c.server.Host, "127.0.0.1", "localhost", 1)
	_, err = c.join(t.Context(), dir, p.token(p.authority.Fingerprint()), "eu-1", Info{})
	if err == nil || p.hit(PathJoin) != 0 {
		t.Errorf("it has joined another host: %v", err)
	}
	for _, bad := range []string{"", "gja_", "gja_a.", "gja_.00", "gja_a.zz", "gantry_a." + strings.Repeat("0", 64), "gja_a." + strings.Repeat("0", 62)} {
		_, err := c.join(t.Context(), dir, bad, "eu-1", Info{})
		contains(t, err, "this is no join token")
	}
	if _, err := os.Stat(filepath.Join(dir, identityFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is kept of a join that failed: %v", err)
	}
}

// TestJoinAgain: a join whose answer is lost is made again with the same key, so that the server may give the same certificate.
func TestJoinAgain(t *testing.T) {
	p := newPeer(t)
	var keys []string
	p.mux.HandleFunc("POST "+PathJoin, func(w http.ResponseWriter, r *http.Request) {
		var j Join
		_ = json.NewDecoder(r.Body).Decode(&j)
		keys = append(keys, j.PublicKey)
		if len(keys) == 1 {
			panic(http.ErrAbortHandler)
		}
		_ = json.NewEncoder(w).Encode(Joined{Name: j.Name, Certificate: p.sign(j.PublicKey), Authority: string(p.authority.PEM())})
	})
	c, err := newClient(p.URL, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: t.TempDir(), Token: p.token(p.authority.Fingerprint()), Name: "eu-1", Log: quietLog()}
	if id, err := o.joinWhenThere(t.Context(), c); err != nil || id.Name != "eu-1" {
		t.Fatal(id, err)
	}
	if len(keys) != 2 || keys[0] != keys[1] {
		t.Errorf("%d joins, with the same key: %t", len(keys), len(keys) == 2 && keys[0] == keys[1])
	}
}

// TestJoinRefused: what the server refuses is told, and not asked again.
func TestJoinRefused(t *testing.T) {
	p := newPeer(t)
	p.mux.HandleFunc("POST "+PathJoin, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"status": 401, "title": "sign in first", "detail": "the join token was used"}`))
	})
	c, err := newClient(p.URL, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: t.TempDir(), Token: p.token(p.authority.Fingerprint()), Name: "eu-1", Log: quietLog()}
	_, err = o.joinWhenThere(t.Context(), c)
	contains(t, err, "the join token was used")
	if n := p.hit(PathJoin); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}

// TestJoinElsewhere: neither a redirect nor another authority in the answer is followed.
func TestJoinElsewhere(t *testing.T) {
	thief := newPeer(t)
	thief.joins()
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, thief.URL+PathJoin, http.StatusTemporaryRedirect)
		},
		"another authority": func(w http.ResponseWriter, r *http.Request) {
			var j Join
			_ = json.NewDecoder(r.Body).Decode(&j)
			_ = json.NewEncoder(w).Encode(Joined{Name: j.Name, Certificate: thief.sign(j.PublicKey), Authority: string(thief.authority.PEM())})
		},
		"a certificate of another key": func(w http.ResponseWriter, _ *http.Request) {
			_, public, err := newKey()
			if err != nil {
				t.Error(err)
			}
			_ = json.NewEncoder(w).Encode(Joined{Name: "eu-1", Certificate: thief.sign(public), Authority: string(thief.authority.PEM())})
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{")) },
	} {
		p := newPeer(t)
		p.mux.HandleFunc("POST "+PathJoin, answer)
		c, err := newClient(p.URL, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if _, err := c.join(t.Context(), dir, p.token(p.authority.Fingerprint()), "eu-1", Info{}); err == nil {
			t.Errorf("%s: it has joined", name)
		}
		if _, err := os.Stat(filepath.Join(dir, identityFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something is kept: %v", name, err)
		}
	}
	if n := thief.hit(PathJoin); n != 0 {
		t.Errorf("the token went elsewhere %d times", n)
	}
}

// TestRenew: a new certificate is for a new key, takes the place of the old one on disk and in the next connection, and what cannot be used changes nothing.
func TestRenew(t *testing.T) {
	p := newPeer(t)
	c, dir := p.joined(time.Now)
	answer := func(public string) Renewed { return Renewed{Certificate: p.sign(public)} }
	p.mux.HandleFunc("POST "+PathRenew, func(w http.ResponseWriter, r *http.Request) {
		var q Renewal
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || caller(r) != "eu-1" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(answer(q.PublicKey))
	})
	before := c.id.Load()
	if err := c.renew(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	after := c.id.Load()
	if after.Key == before.Key || after.Certificate == before.Certificate || after.Name != before.Name || after.Authority != before.Authority {
		t.Errorf("%+v", after)
	}
	if id, err := readIdentity(dir); err != nil || id.Certificate != after.Certificate {
		t.Errorf("%v", err)
	}
	kept, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]func(string) Renewed{
		"another key": func(string) Renewed {
			_, public, _ := newKey()
			return Renewed{Certificate: p.sign(public)}
		},
		"nothing": func(string) Renewed { return Renewed{} },
	} {
		answer = bad
		contains(t, c.renew(t.Context(), dir), "cannot be used")
		if b, err := os.ReadFile(filepath.Join(dir, identityFile)); err != nil || !bytes.Equal(b, kept) || c.id.Load() != after {
			t.Errorf("%s has changed who the agent is", name)
		}
	}
}

// TestDue: after two thirds of its life, and not before.
func TestDue(t *testing.T) {
	p := newPeer(t)
	c, _ := p.joined(time.Now)
	id := c.id.Load()
	from, due := id.pair.Leaf.NotBefore, id.due()
	if got := due.Sub(from); got < life*6/10 || got > life*7/10 {
		t.Errorf("due after %v of %v", got, life)
	}
	if !due.Before(id.pair.Leaf.NotAfter) || time.Now().After(due) {
		t.Errorf("due at %v, good until %v", due, id.pair.Leaf.NotAfter)
	}
}

// TestAnotherServer: once it has joined, an agent speaks to no server of another authority, whatever is in its chain.
func TestAnotherServer(t *testing.T) {
	p := newPeer(t)
	c, _ := p.joined(time.Now)
	thief := newPeer(t)
	thief.mux.HandleFunc("POST "+PathReport, func(http.ResponseWriter, *http.Request) {})
	c.server.Host = strings.TrimPrefix(thief.URL, "https://")
	if err := c.report(t.Context(), Report{}); err == nil || thief.hit(PathReport) != 0 {
		t.Errorf("it has reported to another server: %v", err)
	}
	// Nor to its own with a certificate that has run out.
	late, err := newClient(p.URL, func() time.Time { return time.Now().Add(20 * 365 * 24 * time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	late.id.Store(c.id.Load())
	p.mux.HandleFunc("POST "+PathReport, func(http.ResponseWriter, *http.Request) {})
	if err := late.report(t.Context(), Report{}); err == nil {
		t.Error("a certificate that has run out was taken")
	}
}

func TestDamagedIdentity(t *testing.T) {
	for _, content := range []string{"", "{", "{}", `{"key": "x", "certificate": "y"}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, identityFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readIdentity(dir)
		contains(t, err, "join again with a new token")
	}
	if id, err := readIdentity(t.TempDir()); id != nil || err != nil {
		t.Errorf("%v, %v", id, err)
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "ci.example.com", "http://ci.example.com:7071", "https://", "https://ann@ci.example.com", "https://ci.example.com/agents", "https://ci example.com", "://"} {
		if _, err := newClient(bad, time.Now); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, err := newClient("https://ci.example.com:7071/", time.Now); err != nil {
		t.Error(err)
	}
}
