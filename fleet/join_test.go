package fleet

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

func TestJoin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		base := h.serve(t)
		p := h.peer(t, base, "eu-1")
		if _, status, _ := p.desired(0, 0); status != http.StatusUnauthorized {
			t.Errorf("without a certificate: %d", status)
		}
		made := token(t, h, TokenRequest{})
		if !strings.HasSuffix(made.Token, "."+h.o.Authority.Fingerprint()) || !strings.HasPrefix(made.Token, link.TokenPrefix) {
			t.Errorf("%s", made.Token)
		}
		if status, why := p.join(strings.Replace(made.Token, made.Token[len(made.Token)-64:], strings.Repeat("0", 64), 1)); status != http.StatusUnauthorized || !strings.Contains(why, "another server") {
			t.Errorf("%d %s", status, why)
		}
		if status, why := p.join("gja_x." + h.o.Authority.Fingerprint()); status != http.StatusUnauthorized || !strings.Contains(why, "not good") {
			t.Errorf("%d %s", status, why)
		}
		if status, why := p.join(made.Token); status != http.StatusOK {
			t.Fatalf("%d %s", status, why)
		}
		leaf, _ := pem.Decode([]byte(p.chain))
		c, err := x509.ParseCertificate(leaf.Bytes)
		if err != nil || c.Subject.CommonName != "eu-1" || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
			t.Errorf("%+v %v", c, err)
		}
		if _, status, why := p.desired(0, 0); status != http.StatusNoContent {
			t.Errorf("%d %s", status, why)
		}
		// The answer may be lost: who asks again with the same key is answered again, and nobody else.
		if status, _ := p.join(made.Token); status != http.StatusOK {
			t.Errorf("again: %d", status)
		}
		other := h.peer(t, base, "eu-2")
		if status, _ := other.join(made.Token); status != http.StatusUnauthorized {
			t.Errorf("a used token: %d", status)
		}
		other.name = "eu-1"
		if status, why := other.join(token(t, h, TokenRequest{}).Token); status != http.StatusConflict || !strings.Contains(why, "another host is called eu-1") {
			t.Errorf("%d %s", status, why)
		}
		gone := token(t, h, TokenRequest{TTL: time.Minute})
		h.clock.pass(2 * time.Minute)
		other.name = "eu-2"
		if status, _ := other.join(gone.Token); status != http.StatusUnauthorized {
			t.Errorf("a token that is over: %d", status)
		}
		revoked := token(t, h, TokenRequest{Name: "eu-3"})
		if err := h.RevokeToken(t.Context(), "account:bo", revoked.ID); err != nil {
			t.Fatal(err)
		}
		other.name = "eu-3"
		if status, _ := other.join(revoked.Token); status != http.StatusUnauthorized {
			t.Errorf("a revoked token: %d", status)
		}
		if err := h.RevokeToken(t.Context(), "account:bo", "none"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		named := token(t, h, TokenRequest{Name: "eu-1", Labels: map[string]string{"zone": "b"}})
		other.name = "eu-2"
		if status, why := other.join(named.Token); status != http.StatusConflict || !strings.Contains(why, "called eu-1") {
			t.Errorf("%d %s", status, why)
		}
		// A token for a name replaces the host that has it.
		other.name = "eu-1"
		if status, why := other.join(named.Token); status != http.StatusOK {
			t.Errorf("%d %s", status, why)
		}
		if _, status, why := p.desired(0, 0); status != http.StatusUnauthorized || !strings.Contains(why, "join by a new token") {
			t.Errorf("the host before: %d %s", status, why)
		}
		a, err := h.Agent(t.Context(), "eu-1")
		if err != nil || a.Info.Labels["zone"] != "b" || a.State != StateNew {
			t.Errorf("%+v %v", a, err)
		}
		tokens, err := h.Tokens(t.Context())
		if err != nil || len(tokens) != 5 || slices.ContainsFunc(tokens, func(t Token) bool { return t.Token != "" }) {
			t.Errorf("%+v %v", tokens, err)
		}
		list := events(t, h)
		for _, want := range []string{"agent.joined eu-1", "agent.refused eu-1", "agent-token.made " + made.ID, "agent-token.revoked " + revoked.ID} {
			if !slices.Contains(list, want) {
				t.Errorf("%s is missing in %q", want, list)
			}
		}
	})
}

func TestGuessing(t *testing.T) {
	h := open(t, storetest.Open(t))
	p := h.peer(t, h.serve(t), "eu-1")
	for range mostFailures {
		if status, _ := p.join("gja_x." + h.o.Authority.Fingerprint()); status != http.StatusUnauthorized {
			t.Fatalf("%d", status)
		}
	}
	good := token(t, h, TokenRequest{})
	if status, _ := p.join(good.Token); status != http.StatusTooManyRequests {
		t.Errorf("%d", status)
	}
	h.clock.pass(failWindow)
	if status, why := p.join(good.Token); status != http.StatusOK {
		t.Errorf("%d %s", status, why)
	}
}

func TestRenewal(t *testing.T) {
	h := open(t, storetest.Open(t))
	p := h.peer(t, h.serve(t), "eu-1")
	if status, why := p.join(token(t, h, TokenRequest{}).Token); status != http.StatusOK {
		t.Fatal(why)
	}
	first, before := p.chain, *p
	h.clock.pass(60 * 24 * time.Hour)
	renew := func(p *peer) string {
		var r link.Renewed
		if status, why := p.post(link.PathRenew, link.Renewal{PublicKey: p.public}, &r); status != http.StatusOK {
			t.Fatalf("%d %s", status, why)
		}
		return r.Certificate
	}
	second := renew(p)
	if second == first {
		t.Error("the certificate is the same")
	}
	// The answer may have been lost: the first one still holds.
	if _, status, _ := before.desired(0, 0); status != http.StatusNoContent {
		t.Errorf("%d", status)
	}
	p.use(second)
	p.use(renew(p))
	if _, status, _ := p.desired(0, 0); status != http.StatusNoContent {
		t.Errorf("%d", status)
	}
	if _, status, _ := before.desired(0, 0); status != http.StatusUnauthorized {
		t.Errorf("the first of three: %d", status)
	}
	if status, why := p.post(link.PathRenew, link.Renewal{PublicKey: "x"}, nil); status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", status, why)
	}
	// A connection that was made with a certificate does not outlive it.
	h.clock.pass(91 * 24 * time.Hour)
	if _, status, why := p.desired(0, 0); status != http.StatusUnauthorized || !strings.Contains(why, "is over") {
		t.Errorf("%d %s", status, why)
	}
}
