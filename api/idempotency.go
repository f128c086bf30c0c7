package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// keyLife is for how long an answer is kept to be given again.
const keyLife = 24 * time.Hour

// keyLimit bounds an Idempotency-Key, in bytes.
const keyLimit = 128

// idempotency keeps what was answered to requests with an Idempotency-Key.
type idempotency struct {
	db  *store.DB
	now func() time.Time
}

// keyRow is a request that was made with a key. Status 0: it is being worked on, or its server died while it was.
type keyRow struct {
	bun.BaseModel `bun:"table:idempotency_keys,alias:k"`

	Actor, Key, Digest string
	// ID is different for each use of a key, and stays when another server takes it over.
	ID        string
	Status    int
	Type      string
	Body      []byte
	CreatedAt store.Time
}

var keyMigrations = []store.Migration{{Name: "0001 idempotency keys", SQL: `
CREATE TABLE idempotency_keys (
	actor TEXT NOT NULL,
	key TEXT NOT NULL,
	digest TEXT NOT NULL,
	status BIGINT NOT NULL,
	type TEXT NOT NULL,
	body $BYTES,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
`}, {Name: "0002 uses of keys", SQL: `
ALTER TABLE idempotency_keys ADD COLUMN id TEXT NOT NULL DEFAULT '';
`}}

type useKey struct{}

// delivery names what a request with an Idempotency-Key starts, for the rooms to start it once even where a server dies before it can keep
// its answer. Empty: the request has no key.
func delivery(ctx context.Context) string {
	id, _ := ctx.Value(useKey{}).(string)
	return id
}

func newIdempotency(ctx context.Context, db *store.DB, now func() time.Time) (*idempotency, error) {
	return &idempotency{db, now}, db.Migrate(ctx, "api", keyMigrations)
}

// serve works on a request with a key once, and answers later ones with what was answered then.
func (k *idempotency) serve(s *Server, ctx huma.Context, op *operation, key string, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if len(key) > keyLimit || !isText(key) {
		message := fmt.Sprintf("must have at most %d bytes, and %s", keyLimit, strings.TrimPrefix(notText, "must "))
		writeProblem(w, newProblem(http.StatusUnprocessableEntity, "invalid", "the Idempotency-Key "+message, Place{Location: "header.Idempotency-Key", Message: message}))
		return
	}
	limit := op.body
	if limit == 0 {
		limit = maxBody
	}
	// The deadline ends with the body: the connection is read on for the client's going away, which must not be taken for it.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	_ = control.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	if err != nil && !errors.As(err, &large) {
		writeProblem(w, newProblem(http.StatusRequestTimeout, "invalid", "the body did not arrive whole in time", Place{Location: "body", Message: "must arrive within " + bodyTimeout.String()}))
		return
	}
	if err != nil {
		writeProblem(w, newProblem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("the body has more than %d bytes", limit)))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", r.Method, r.URL.RequestURI())
	sum.Write(body)
	row := &keyRow{ID: "key:" + rand.Text(), Actor: identity(ctx.Context()).Actor, Key: key, Digest: hex.EncodeToString(sum.Sum(nil)), CreatedAt: store.At(k.now())}
	before, err := k.claim(r.Context(), row)
	switch {
	case err != nil:
		writeProblem(w, s.problem(r.Context(), err))
		return
	case before != nil && before.Digest != row.Digest:
		writeProblem(w, newProblem(http.StatusUnprocessableEntity, "key-reused", "", Place{Location: "header.Idempotency-Key", Message: "was used for another request"}))
		return
	case before != nil && before.Status == 0:
		p := newProblem(http.StatusConflict, "conflict", "the same request is being worked on")
		p.retry = time.Second
		writeProblem(w, p)
		return
	case before != nil:
		w.Header().Set("Content-Type", before.Type)
		w.Header().Set("Idempotent-Replay", "true")
		w.WriteHeader(before.Status)
		_, _ = w.Write(before.Body)
		return
	}
	copied := &copier{ResponseWriter: w, limit: maxBody}
	next(humago.NewContext(ctx.Operation(), r.WithContext(context.WithValue(ctx.Context(), useKey{}, row.ID)), copied))
	k.settle(context.WithoutCancel(r.Context()), row, copied, s)
}

// claim takes a key; an earlier use of it is returned. A use whose server died is taken over after a minute: rooms make what they make
// in one transaction, so either there is nothing yet, or what is there tells: runs by their delivery, projects and accounts by their name.
func (k *idempotency) claim(ctx context.Context, row *keyRow) (before *keyRow, err error) {
	err = k.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		before = nil
		if _, err := tx.NewDelete().Table("idempotency_keys").Where("created_at < ?", store.At(k.now().Add(-keyLife))).Exec(ctx); err != nil {
			return err
		}
		var rows []keyRow
		if err := tx.NewSelect().Model(&rows).Where("actor = ? AND key = ?", row.Actor, row.Key).Scan(ctx); err != nil {
			return err
		}
		if len(rows) > 0 {
			stale := rows[0].Status == 0 && k.now().Sub(rows[0].CreatedAt.Time) > time.Minute
			if !stale || rows[0].Digest != row.Digest {
				before = &rows[0]
				return nil
			}
			row.ID = rows[0].ID
			_, err := tx.NewUpdate().Model(row).Column("created_at").Where("actor = ? AND key = ?", row.Actor, row.Key).Exec(ctx)
			return err
		}
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
	if err != nil && store.IsDuplicate(err) {
		return &keyRow{Digest: row.Digest}, nil // another took it at the same moment
	}
	return before, err
}

// settle keeps the answer; one that may be another the next time is not kept.
func (k *idempotency) settle(ctx context.Context, row *keyRow, c *copier, s *Server) {
	err := k.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if c.status >= 500 || c.status == http.StatusTooManyRequests || c.status == 0 || c.over {
			_, err := tx.NewDelete().Table("idempotency_keys").Where("actor = ? AND key = ?", row.Actor, row.Key).Exec(ctx)
			return err
		}
		row.Status, row.Type, row.Body = c.status, c.Header().Get("Content-Type"), c.body.Bytes()
		_, err := tx.NewUpdate().Model(row).Column("status", "type", "body").Where("actor = ? AND key = ?", row.Actor, row.Key).Exec(ctx)
		return err
	})
	if err != nil {
		s.o.Log.Warn("an answer could not be kept for its Idempotency-Key", "error", err)
	}
}

// copier keeps a copy of an answer.
type copier struct {
	http.ResponseWriter
	body   bytes.Buffer
	limit  int
	over   bool
	status int
}

// WriteHeader implements http.ResponseWriter.
func (c *copier) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *copier) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	if c.body.Len()+len(b) > c.limit {
		c.over = true
	} else {
		c.body.Write(b)
	}
	return c.ResponseWriter.Write(b)
}

// SetReadDeadline keeps the connection from a deadline for the body, which is read already: it would end the request instead.
func (c *copier) SetReadDeadline(time.Time) error { return nil }

// Unwrap serves http.ResponseController.
func (c *copier) Unwrap() http.ResponseWriter { return c.ResponseWriter }
