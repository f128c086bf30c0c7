package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What a delivery's sender is told by.
var (
	// ErrSignature: the delivery is not signed, or not with the secret that was agreed on.
	ErrSignature = errors.New("the signature is missing or wrong")
	// ErrStale: the delivery is signed, and too old or from the future.
	ErrStale = errors.New("the delivery's time is too far from now")
)

// MalformedError is a delivery whose body is not what its vendor documents.
type MalformedError struct {
	// Path is the place in the body, in JSON's names: "pull_request.head.sha"; empty: the body as a whole, or a header.
	Path    string
	Message string
}

func (e *MalformedError) Error() string {
	if e.Path == "" {
		return "the delivery is malformed: " + e.Message
	}
	return fmt.Sprintf("the delivery is malformed: %s %s", e.Path, e.Message)
}

// Event names what a delivery tells of, in words that all forges share.
type Event string

// The events that are told apart. Other is everything else: it is acknowledged and starts nothing.
const (
	Push        Event = "push"
	Tag         Event = "tag"
	PullRequest Event = "pull_request"
	Ping        Event = "ping"
	Other       Event = "other"
)

// Delivery is a webhook whose signature was good.
type Delivery struct {
	// ID is the forge's own, for refusing replays.
	ID string
	// Event is what it tells of, Name what the forge calls that.
	Event Event
	Name  string
	// Action is the activity of a pull request: "opened", "reopened", "synchronize" (new commits), "closed", or the forge's own word.
	Action string
	// Repository is the full name of the repository.
	Repository string
	// Ref is the full ref, SHA its commit; of a pull request the one that runs are for, which can be fetched from Repository.
	// Before is the commit before a push; empty for a new ref. Deleted: the ref is no more, and SHA is empty.
	Ref, SHA, Before string
	Deleted, Forced  bool
	// Number, HeadRef, BaseRef (branches), BaseSHA and HeadRepository of a pull request. Fork: the head is in another repository.
	Number           int
	HeadRef, BaseRef string
	BaseSHA          string
	HeadRepository   string
	Fork             bool
	// Actor is who did it, by the forge's name for the account.
	Actor string
	// At is when it was sent where the forge signs a time, else zero.
	At time.Time
	// Payload is the body.
	Payload json.RawMessage
	// More are further refs that the same push has moved, each as a delivery of its own.
	More []*Delivery
}

// Actions of pull requests.
const (
	Opened      = "opened"
	Reopened    = "reopened"
	Synchronize = "synchronize"
	Closed      = "closed"
)

// SignedBy reports whether hex is the HMAC-SHA256 of the body by the secret, in constant time. An empty secret signs nothing.
func SignedBy(secret string, body []byte, hexSum string) bool {
	got, err := hex.DecodeString(hexSum)
	if err != nil || secret == "" {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

// Decode reads a body into v, and says where it does not fit.
func Decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		return &MalformedError{kind.Field, fmt.Sprintf("is a JSON %s where it should be %s", kind.Value, article(kind.Type.Kind().String()))}
	case errors.As(err, &syntax):
		return &MalformedError{"", fmt.Sprintf("no JSON at byte %d: %v", syntax.Offset, err)}
	}
	return &MalformedError{"", err.Error()}
}

// article says what JSON calls a kind of Go's.
func article(kind string) string {
	switch {
	case kind == "string":
		return "a string"
	case kind == "bool":
		return "a boolean"
	case kind == "slice" || kind == "array":
		return "a list"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"), strings.HasPrefix(kind, "float"):
		return "a number"
	}
	return "an object"
}

// Check returns an error for a delivery that lacks what its event cannot be without, or has what git could take for an option.
func (d *Delivery) Check() error {
	commit := func(path, sha string) error {
		if !isCommit(sha) {
			return &MalformedError{path, fmt.Sprintf("is no commit in full: %.80q", sha)}
		}
		return nil
	}
	if d.ID == "" {
		return &MalformedError{"", "it has no ID of a delivery"}
	}
	switch d.Event {
	case Push, Tag:
		if !strings.HasPrefix(d.Ref, "refs/heads/") && !strings.HasPrefix(d.Ref, "refs/tags/") || checkRef(d.Ref) != nil {
			return &MalformedError{"ref", fmt.Sprintf("is neither a branch nor a tag: %.80q", d.Ref)}
		}
		if !d.Deleted {
			if err := commit("after", d.SHA); err != nil {
				return err
			}
		}
		if d.Before != "" {
			return commit("before", d.Before)
		}
	case PullRequest:
		if d.Number <= 0 {
			return &MalformedError{"number", "is missing"}
		}
		if checkRef(d.HeadRef) != nil || checkRef(d.BaseRef) != nil {
			return &MalformedError{"", fmt.Sprintf("the branches are %.80q and %.80q", d.HeadRef, d.BaseRef)}
		}
		return commit("head commit", d.SHA)
	}
	return nil
}

// OrNone takes the commit of zeros, by which forges say that there is none, for an empty text.
func OrNone(sha string) string {
	if strings.Trim(sha, "0") == "" {
		return ""
	}
	return sha
}
