package fleet

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/agent/certs"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/store"
)

const (
	mostJoin = 64 << 10
	// mostPrints is how many of an agent's certificates hold at a time: the last one, and the one before it until the agent has got the last.
	mostPrints = 2
	leastRSA   = 2048
)

// join makes a host an agent. Each refusal is an event; what was wrong with a token is not told to who has a wrong one.
func (s *Service) join(w http.ResponseWriter, r *http.Request) error {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = r.RemoteAddr
	}
	if wait := s.joins.wait(from); wait > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(wait.Seconds())+1))
		return problem(http.StatusTooManyRequests, "too many attempts to join from this address; try again later")
	}
	var j link.Join
	err = readJSON(w, r, mostJoin, &j)
	var answer link.Joined
	if err == nil {
		answer, err = s.admit(r.Context(), j)
	}
	if err != nil {
		var p *Problem
		if errors.As(err, &p) {
			s.joins.failed(from)
			s.refused(r.Context(), from, j.Name, p)
		}
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

// refused tells of an attempt that failed.
func (s *Service) refused(ctx context.Context, from, name string, p *Problem) {
	if !nameForm.MatchString(name) {
		name = ""
	}
	err := s.o.DB.Write(ctx, func(_ context.Context, tx *store.Tx) error {
		return tx.Append(store.Event{Type: "agent.refused", Subject: name, Actor: "gantry"}, map[string]any{"address": from, "reason": p.Detail})
	})
	if err != nil {
		s.o.Log.Error("a refused attempt to join could not be recorded", "address", from, "error", err)
	}
}

var errBadToken = problem(http.StatusUnauthorized, "the join token is not good: it is wrong, used, revoked or over; make a new one on the server")

// admit checks a token and makes the certificate that it is for.
func (s *Service) admit(ctx context.Context, j link.Join) (link.Joined, error) {
	text, ok := strings.CutPrefix(j.Token, link.TokenPrefix)
	secret, fingerprint, ok2 := strings.Cut(text, ".")
	if !ok || !ok2 || len(secret) > 100 {
		return link.Joined{}, errBadToken
	}
	if subtle.ConstantTimeCompare([]byte(fingerprint), []byte(s.o.Authority.Fingerprint())) != 1 {
		return link.Joined{}, problem(http.StatusUnauthorized, "the join token is another server's")
	}
	key, print, err := publicKey(j.PublicKey)
	if err != nil {
		return link.Joined{}, problem(http.StatusUnprocessableEntity, "the public key is refused: %v", err)
	}
	if err := checkInfo(j.Info); err != nil {
		return link.Joined{}, problem(http.StatusUnprocessableEntity, "what is told of the host is refused: %v", err)
	}
	var joined link.Joined
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		joined, err = s.useToken(ctx, tx, j, hashToken(secret), key, print)
		return err
	})
	return joined, err
}

func (s *Service) useToken(ctx context.Context, tx *store.Tx, j link.Join, hash string, key crypto.PublicKey, print string) (joined link.Joined, err error) {
	var t tokenRow
	q := tx.NewSelect().Model(&t).Where("hash = ?", hash)
	if lock := tx.ForUpdate(); lock != "" {
		q = q.For(lock)
	}
	err = q.Scan(ctx)
	now := s.o.Now()
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return joined, errBadToken
	case err != nil:
		return joined, err
	case subtle.ConstantTimeCompare([]byte(t.Hash), []byte(hash)) != 1 || !t.RevokedAt.IsZero() || !now.Before(t.ExpiresAt.Time):
		return joined, errBadToken
	case !t.UsedAt.IsZero() && subtle.ConstantTimeCompare([]byte(t.UsedKey), []byte(print)) != 1:
		return joined, errBadToken
	}
	name := j.Name
	switch {
	case t.Name != "" && name != "" && name != t.Name:
		return joined, problem(http.StatusConflict, "the join token is for an agent called %s", t.Name)
	case t.Name != "":
		name = t.Name
	case !t.UsedAt.IsZero():
		name = t.UsedBy // the answer was lost, and the host asks again
	}
	if !nameForm.MatchString(name) {
		return joined, problem(http.StatusUnprocessableEntity, "the name %.80q is not made of 1 to 63 small letters, digits and hyphens", name)
	}
	var before []agentRow
	if err := tx.NewSelect().Model(&before).Where("name = ?", name).Scan(ctx); err != nil {
		return joined, err
	}
	if len(before) > 0 && t.Name != name && t.UsedBy != name {
		return joined, problem(http.StatusConflict, "another host is called %s; choose another name, remove that agent, or make a token for the name", name)
	}
	chain, expires, leaf, err := s.certificate(key, name)
	if err != nil {
		return joined, err
	}
	row := agentRow{
		Name: name, Labels: t.Labels, Info: store.AsJSON(j.Info), Prints: store.AsJSON([]string{leaf}), ExpiresAt: expires, State: StateNew, JoinedAt: store.At(now), Desired: store.AsJSON(wanted{}),
	}
	if len(before) > 0 {
		_, err = tx.NewUpdate().Model(&row).Column("labels", "info", "prints", "expires_at", "joined_at").Where("name = ?", name).Exec(ctx)
	} else {
		_, err = tx.NewInsert().Model(&row).Exec(ctx)
	}
	if err != nil {
		return joined, err
	}
	_, err = tx.NewUpdate().Table("agent_tokens").Set("used_at = ?", store.At(now)).Set("used_by = ?", name).Set("used_key = ?", print).Where("id = ?", t.ID).Exec(ctx)
	if err != nil {
		return joined, err
	}
	joined = link.Joined{Name: name, Certificate: string(chain), Authority: string(s.o.Authority.PEM())}
	return joined, tx.Append(store.Event{Type: "agent.joined", Subject: name, Actor: "agent-token:" + t.ID}, map[string]any{"hostname": j.Info.Hostname, "version": j.Info.Version, "again": len(before) > 0})
}

// renew gives an agent a certificate for another key. The one that it shows holds until the agent has used the new one and renewed again.
func (s *Service) renew(w http.ResponseWriter, r *http.Request) error {
	row, err := s.caller(r, false)
	if err != nil {
		return err
	}
	var asked link.Renewal
	if err := readJSON(w, r, mostJoin, &asked); err != nil {
		return err
	}
	key, _, err := publicKey(asked.PublicKey)
	if err != nil {
		return problem(http.StatusUnprocessableEntity, "the public key is refused: %v", err)
	}
	chain, expires, leaf, err := s.certificate(key, row.Name)
	if err != nil {
		return err
	}
	used := certs.Fingerprint(r.TLS.PeerCertificates[0])
	err = s.o.DB.Write(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		var now agentRow
		q := tx.NewSelect().Model(&now).Where("name = ?", row.Name)
		if lock := tx.ForUpdate(); lock != "" {
			q = q.For(lock)
		}
		if err := q.Scan(ctx); errors.Is(err, sql.ErrNoRows) || err == nil && !slices.Contains(now.Prints.V, used) {
			return errRemoved
		} else if err != nil {
			return err
		}
		// The one that was shown stays: the answer may be lost. Others were never used, or are not any more.
		prints := []string{leaf, used}
		_, err := tx.NewUpdate().Table("agents").Set("prints = ?", store.AsJSON(prints[:mostPrints])).Set("expires_at = ?", expires).Where("name = ?", row.Name).Exec(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, link.Renewed{Certificate: string(chain)})
}

// certificate signs a key for an agent.
func (s *Service) certificate(key crypto.PublicKey, name string) (chain []byte, expires store.Time, print string, err error) {
	if chain, err = s.o.Authority.Sign(key, certs.Request{Name: name, Client: true}); err != nil {
		return nil, expires, "", err
	}
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, expires, "", errors.New("the authority has signed nothing")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, expires, "", fmt.Errorf("read the certificate that was signed: %w", err)
	}
	return chain, store.At(leaf.NotAfter), certs.Fingerprint(leaf), nil
}

// publicKey reads a key that may be certified, and its SHA-256.
func publicKey(text string) (crypto.PublicKey, string, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, "", errors.New(`it is not one PEM block "PUBLIC KEY"`)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, "", err
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < leastRSA || n > 4*leastRSA {
			return nil, "", fmt.Errorf("an RSA key of %d bits is not from %d to %d", n, leastRSA, 4*leastRSA)
		}
	default:
		return nil, "", fmt.Errorf("keys of the kind %T are not taken", key)
	}
	sum := sha256.Sum256(block.Bytes)
	return key, hex.EncodeToString(sum[:]), nil
}

var errRemoved = problem(http.StatusUnauthorized, "the certificate does not hold: the agent was removed, or has joined anew; join by a new token")

// caller is the agent whose certificate a request comes with; desired says that what it shall be is needed as well.
func (s *Service) caller(r *http.Request, desired bool) (*agentRow, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return nil, problem(http.StatusUnauthorized, "a certificate of the server's authority is needed")
	}
	leaf := r.TLS.PeerCertificates[0]
	if s.o.Now().After(leaf.NotAfter) {
		// It was good when the connection was made.
		return nil, problem(http.StatusUnauthorized, "the certificate is over; join by a new token")
	}
	row, err := s.row(r.Context(), leaf.Subject.CommonName, desired)
	if err != nil {
		return nil, err
	}
	if row == nil || !slices.Contains(row.Prints.V, certs.Fingerprint(leaf)) {
		return nil, errRemoved
	}
	return row, nil
}
