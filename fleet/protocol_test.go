package fleet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// serve has the protocol on a listener of this machine.
func (h *home) serve(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h.Handler(), ErrorLog: log.New(io.Discard, "", 0)}
	ctx, cancel := context.WithCancel(context.Background())
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	server.TLSConfig = h.TLSConfig()
	go func() { _ = server.ServeTLS(ln, "", "") }()
	t.Cleanup(func() {
		cancel()
		for name := range h.hosts {
			h.forget(name)
		}
		_ = server.Close()
	})
	return "https://" + ln.Addr().String()
}

// peer is an agent's side of the protocol.
type peer struct {
	t       *testing.T
	base    string
	name    string
	key     *ecdsa.PrivateKey
	public  string
	chain   string
	client  *http.Client
	config  *tls.Config
	control *home
}

func (h *home) peer(t *testing.T, base, name string) *peer {
	t.Helper()
	p := &peer{t: t, base: base, name: name, control: h, config: &tls.Config{RootCAs: h.o.Authority.Pool(), Time: h.clock.now}}
	p.key, p.public = newKey(t)
	p.dial()
	h.hosts[name] = &host{name: name}
	return p
}

// dial makes a client anew, so that its connections have the certificate of now.
func (p *peer) dial() {
	tr := &http.Transport{TLSClientConfig: p.config.Clone(), ForceAttemptHTTP2: true}
	p.client = &http.Client{Transport: tr, Timeout: time.Minute}
	p.t.Cleanup(tr.CloseIdleConnections)
}

// post asks, and reads the answer into to; the status is returned, with the problem's words.
func (p *peer) post(path string, body, to any) (int, string) {
	p.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := p.client.Post(p.base+path, "application/json", bytes.NewReader(b))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.answer(res, to)
}

func (p *peer) answer(res *http.Response, to any) (int, string) {
	p.t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode >= 400 {
		var said Problem
		if err := json.Unmarshal(b, &said); err != nil || res.Header.Get("Content-Type") != "application/problem+json" || said.Status != res.StatusCode {
			p.t.Errorf("%d is no problem: %s", res.StatusCode, b)
		}
		return res.StatusCode, said.Detail
	}
	if to != nil && len(b) > 0 {
		if err := json.Unmarshal(b, to); err != nil {
			p.t.Fatalf("%v: %s", err, b)
		}
	}
	return res.StatusCode, ""
}

func (p *peer) join(token string) (int, string) {
	p.t.Helper()
	var joined link.Joined
	status, why := p.post(link.PathJoin, link.Join{Token: token, Name: p.name, PublicKey: p.public, Info: link.Info{Labels: map[string]string{"zone": "a"}}}, &joined)
	if status == http.StatusOK {
		if joined.Authority != string(p.control.o.Authority.PEM()) || p.name != "" && joined.Name != p.name {
			p.t.Errorf("%+v", joined)
		}
		p.use(joined.Certificate)
	}
	return status, why
}

// use shows a certificate from now on.
func (p *peer) use(chain string) {
	p.chain = chain
	c := tls.Certificate{PrivateKey: p.key}
	for block, rest := pem.Decode([]byte(chain)); block != nil; block, rest = pem.Decode(rest) {
		c.Certificate = append(c.Certificate, block.Bytes)
	}
	p.config.Certificates = []tls.Certificate{c}
	p.dial()
}

func (p *peer) desired(generation int64, wait int) (agent.Desired, int, string) {
	p.t.Helper()
	var d agent.Desired
	res, err := p.client.Get(fmt.Sprintf("%s%s?generation=%d&wait=%d", p.base, link.PathDesired, generation, wait))
	if err != nil {
		p.t.Fatal(err)
	}
	status, why := p.answer(res, &d)
	return d, status, why
}

func token(t *testing.T, h *home, r TokenRequest) Token {
	t.Helper()
	made, err := h.MakeToken(t.Context(), "account:ann", r)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func events(t *testing.T, h *home) (list []string) {
	t.Helper()
	all, err := h.o.DB.Events(t.Context(), store.EventQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		list = append(list, e.Type+" "+e.Subject)
	}
	return list
}

func TestLongPoll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		h.shelf.secrets["KEY"] = "hidden"
		src := strings.Replace(shop, "    health:", "    secrets: [KEY]\n    health:", 1)
		a := h.shelf.put(t, "shop", src, "production", "web", 1)
		p := h.peer(t, h.serve(t), "eu-1")
		if status, why := p.join(token(t, h, TokenRequest{}).Token); status != http.StatusOK {
			t.Fatal(why)
		}
		report := link.Report{Boot: "b1", Seq: 1, Info: link.Info{Labels: map[string]string{"zone": "a"}}}
		if status, why := p.post(link.PathReport, report, nil); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, why)
		}
		answers := make(chan agent.Desired, 1)
		go func() {
			d, status, why := p.desired(0, 30)
			if status != http.StatusOK {
				t.Errorf("%d %s", status, why)
			}
			answers <- d
		}()
		r := record(1, 1, shopWeb, a, release.Candidate{}, one)
		h.apply(t, r, desiredOf(a, release.Candidate{}, 4, 0, release.Whole))
		d := <-answers
		if d.Generation != 1 || len(d.Instances) != 4 || d.Instances[0].Secrets["KEY"] != "hidden" {
			t.Errorf("%+v", d)
		}
		if _, status, _ := p.desired(1, 0); status != http.StatusNoContent {
			t.Errorf("%d", status)
		}
		// Another server on the same database.
		other := openAt(t, storetest.Again(t, db), h.clock, t.TempDir())
		other.shelf.configs = h.shelf.configs
		go func() {
			d, status, why := p.desired(1, 30)
			if status != http.StatusOK {
				t.Errorf("%d %s", status, why)
			}
			answers <- d
		}()
		r.Version++
		other.apply(t, r, desiredOf(a, release.Candidate{}, 5, 0, release.Whole))
		if d := <-answers; d.Generation != 2 || len(d.Instances) != 5 {
			t.Errorf("%+v", d)
		}
		// A generation that nobody here knows of.
		if d, status, _ := p.desired(77, 5); status != http.StatusOK || d.Generation != 78 || len(d.Instances) != 5 {
			t.Errorf("%d %+v", status, d)
		}
		for _, bad := range []string{"generation=x", "generation=-1", "wait=x", "generation=99999999999999999999"} {
			res, err := p.client.Get(p.base + link.PathDesired + "?" + bad)
			if err != nil {
				t.Fatal(err)
			}
			if status, _ := p.answer(res, nil); status != http.StatusBadRequest {
				t.Errorf("%s: %d", bad, status)
			}
		}
		// The value is in no table.
		row, err := h.row(t.Context(), "eu-1", true)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := json.Marshal(row.Desired.V); bytes.Contains(b, []byte("hidden")) {
			t.Error("the secret is stored")
		}
	})
}

func TestRemovedAgent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		a := h.shelf.put(t, "shop", shop, "production", "web", 1)
		h.joinHost(t, "eu-2", map[string]string{"zone": "a"})
		p := h.peer(t, h.serve(t), "eu-1")
		if status, why := p.join(token(t, h, TokenRequest{}).Token); status != http.StatusOK {
			t.Fatal(why)
		}
		report := link.Report{Boot: "b1", Seq: 1, Info: link.Info{Labels: map[string]string{"zone": "a"}}}
		if status, why := p.post(link.PathReport, report, nil); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, why)
		}
		r := record(1, 1, shopWeb, a, release.Candidate{}, one)
		h.apply(t, r, desiredOf(a, release.Candidate{}, 4, 0, release.Whole))
		d, _, _ := p.desired(0, 5)
		if len(d.Instances) != 2 {
			t.Errorf("%+v", d)
		}
		statuses := make(chan int, 1)
		go func() {
			_, status, _ := p.desired(d.Generation, 30)
			statuses <- status
		}()
		if err := h.RemoveAgent(t.Context(), "account:ann", "eu-1"); err != nil {
			t.Fatal(err)
		}
		if status := <-statuses; status != http.StatusUnauthorized {
			t.Errorf("a poll that waits: %d", status)
		}
		report.Seq++
		if status, _ := p.post(link.PathReport, report, nil); status != http.StatusUnauthorized {
			t.Errorf("%d", status)
		}
		if status, _ := p.post(link.PathRenew, link.Renewal{PublicKey: p.public}, nil); status != http.StatusUnauthorized {
			t.Errorf("%d", status)
		}
		if err := h.RemoveAgent(t.Context(), "account:ann", "eu-1"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		delete(h.hosts, "eu-1")
		h.sync(t)
		if o := h.look(t, r); o.Healthy[a] != 4 {
			t.Errorf("its instances are not started elsewhere: %+v", o)
		}
		if !slices.Contains(events(t, h), "agent.removed eu-1") {
			t.Errorf("%q", events(t, h))
		}
	})
}

func TestBadReports(t *testing.T) {
	h := open(t, storetest.Open(t))
	p := h.peer(t, h.serve(t), "eu-1")
	if status, why := p.join(token(t, h, TokenRequest{}).Token); status != http.StatusOK {
		t.Fatal(why)
	}
	for _, body := range []string{`{`, `[]`, `{"boot":"","seq":1}`, `{"boot":"b","seq":-1}`, `{"boot":"b","seq":1}{}`, `{"boot":"b","seq":1,"observed":{"weights":{"x":{"y":10001}}}}`,
		`{"boot":"b","seq":1,"traffic":{"x":{"y":{"requests":1,"errors":2}}}}`, `{"boot":"b","seq":1,"traffic":{"x":{"y":{"requests":1,"latency":[[3,1],[3,1]]}}}}`,
		`{"boot":"b","seq":1,"traffic":{"x":{"y":{"requests":1,"latency":[[175,1]]}}}}`, `{"boot":"b","seq":1,"observed":{"instances":[{"id":"a","state":"odd"}]}}`,
		`{"boot":"b","seq":1,"info":{"labels":{"a b":"c"}}}`, `{"boot":"b","seq":1,"observed":{"problems":{"a":"\u0000"}}}`} {
		res, err := p.client.Post(p.base+link.PathReport, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := p.answer(res, nil); status != http.StatusUnprocessableEntity && status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, status)
		}
	}
	res, err := p.client.Post(p.base+link.PathReport, "application/json", strings.NewReader(`{"boot":"`+strings.Repeat("x", mostReport)+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := p.answer(res, nil); status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", status)
	}
	if a, err := h.Agent(t.Context(), "eu-1"); err != nil || a.State != StateNew || !a.SeenAt.IsZero() {
		t.Errorf("%+v %v", a, err)
	}
}

func TestBundles(t *testing.T) {
	h := open(t, storetest.Open(t))
	a := h.shelf.put(t, "shop", shop, "production", "web", 1)
	h.shelf.artifacts[a.Artifact] = []byte("0123456789")
	h.shelf.artifacts["sha256:other"] = []byte("others")
	p := h.peer(t, h.serve(t), "eu-1")
	if status, why := p.join(token(t, h, TokenRequest{}).Token); status != http.StatusOK {
		t.Fatal(why)
	}
	get := func(digest, part string) (int, string) {
		req, err := http.NewRequest(http.MethodGet, p.base+link.PathBundles+url.PathEscape(digest), nil)
		if err != nil {
			t.Fatal(err)
		}
		if part != "" {
			req.Header.Set("Range", part)
		}
		res, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	if status, _ := get(a.Artifact, ""); status != http.StatusNotFound {
		t.Errorf("before it has a use for it: %d", status)
	}
	if status, why := p.post(link.PathReport, link.Report{Boot: "b1", Seq: 1, Info: link.Info{Labels: map[string]string{"zone": "a"}}}, nil); status != http.StatusNoContent {
		t.Fatal(why)
	}
	h.apply(t, record(1, 1, shopWeb, a, release.Candidate{}, one), desiredOf(a, release.Candidate{}, 4, 0, release.Whole))
	if status, body := get(a.Artifact, ""); status != http.StatusOK || body != "0123456789" {
		t.Errorf("%d %s", status, body)
	}
	if status, body := get(a.Artifact, "bytes=4-"); status != http.StatusPartialContent || body != "456789" {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := get("sha256:other", ""); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
}

func TestTunnels(t *testing.T) {
	h := open(t, storetest.Open(t))
	base := h.serve(t)
	p := h.peer(t, base, "eu-1")
	if status, why := p.join(token(t, h, TokenRequest{}).Token); status != http.StatusOK {
		t.Fatal(why)
	}
	offer := func() net.Conn {
		config := p.config.Clone()
		config.NextProtos = []string{"http/1.1"}
		c, err := tls.Dial("tcp", strings.TrimPrefix(base, "https://"), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: gantry-tunnel\r\n\r\n", link.PathTunnel); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != "gantry-tunnel" {
			t.Fatal(res, err)
		}
		return c
	}
	// One that is broken is passed over.
	good, broken := offer(), offer()
	_ = broken.Close()
	go func() {
		r := bufio.NewReader(good)
		line, err := r.ReadString('\n')
		var to link.TunnelRequest
		if err != nil || json.Unmarshal([]byte(line), &to) != nil || to.Instance != "web-1" || to.Port != "http" {
			t.Errorf("%q %v", line, err)
		}
		_, _ = io.WriteString(good, "{}\nhello ")
		_, _ = io.Copy(good, r)
	}()
	c, err := h.Dial(t.Context(), "eu-1", link.TunnelRequest{To: "instance", Instance: "web-1", Port: "http"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "echo"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("hello echo"))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello echo" {
		t.Errorf("%q %v", got, err)
	}

	// What the agent says is wrong is told; a tunnel that comes while it is waited for is used.
	said := make(chan error, 1)
	go func() {
		_, err := h.Dial(t.Context(), "eu-1", link.TunnelRequest{To: "metrics"})
		said <- err
	}()
	last := offer()
	if _, err := bufio.NewReader(last).ReadString('\n'); err != nil {
		t.Error(err)
	}
	_, _ = io.WriteString(last, `{"error":"nobody listens"}`+"\n")
	if err := <-said; err == nil || !strings.Contains(err.Error(), "nobody listens") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Dial(ctx, "eu-1", link.TunnelRequest{To: "metrics"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := h.Dial(t.Context(), "eu-9", link.TunnelRequest{To: "metrics"}); !errors.Is(err, ErrNotConnected) {
		t.Errorf("%v", err)
	}
	res, err := p.client.Get(base + link.PathTunnel) // over HTTP/2, and no upgrade
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := p.answer(res, nil); status != http.StatusUpgradeRequired {
		t.Errorf("%d", status)
	}
	if err := h.RemoveAgent(t.Context(), "account:ann", "eu-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Dial(t.Context(), "eu-1", link.TunnelRequest{To: "metrics"}); !errors.Is(err, ErrNotConnected) {
		t.Errorf("%v", err)
	}
}

// TestNotTLS: without TLS there is no certificate to go by.
func TestNotTLS(t *testing.T) {
	h := open(t, storetest.Open(t))
	for _, path := range []string{link.PathDesired, link.PathBundles + "x", link.PathTunnel} {
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestTooMuch: a host that was taken over cannot keep the server busy.
func TestTooMuch(t *testing.T) {
	h := open(t, storetest.Open(t))
	p := h.peer(t, h.serve(t), "eu-1")
	if status, why := p.join(token(t, h, TokenRequest{}).Token); status != http.StatusOK {
		t.Fatal(why)
	}
	report := link.Report{Boot: "b1"}
	for range mostReports {
		report.Seq++
		if status, why := p.post(link.PathReport, report, nil); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, why)
		}
	}
	report.Seq++
	if status, _ := p.post(link.PathReport, report, nil); status != http.StatusTooManyRequests {
		t.Errorf("%d", status)
	}
	h.clock.pass(reportWindow)
	if status, why := p.post(link.PathReport, report, nil); status != http.StatusNoContent {
		t.Errorf("%d %s", status, why)
	}
	var ends []func()
	for range mostPolls {
		end, err := h.poll("eu-1")
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	if _, status, _ := p.desired(0, 1); status != http.StatusTooManyRequests {
		t.Errorf("%d", status)
	}
	for _, end := range ends {
		end()
	}
	if _, status, _ := p.desired(0, 0); status != http.StatusNoContent {
		t.Errorf("%d", status)
	}
}
