package auth

import (
	"errors"
	"fmt"
	"time"
)

// What Authenticate, Login and their like refuse with. All are told apart by errors.Is; the texts may be shown to whoever asked.
var (
	// ErrNoCredentials: the request has neither a session's cookie nor a token. 401.
	ErrNoCredentials = errors.New("sign in first, or send a token")
	// ErrBadCredentials: the name or password, the token, the session or the link is not right. Which of them is not told. 401.
	ErrBadCredentials = errors.New("the credentials are not right")
	// ErrExpired: the session or token was right once. 401.
	ErrExpired = errors.New("the credentials have expired: sign in again, or make a new token")
	// ErrDisabled: the account may not sign in any more, and its tokens are void while it is so. 401.
	ErrDisabled = errors.New("the account is disabled: ask an administrator")
	// ErrCSRF: a request that changes something came with a session but not from the server's own pages. 403.
	ErrCSRF = errors.New("the request did not come from this server's own pages: reload the page and try again")
)

// What the operations on accounts and tokens refuse with.
var (
	// ErrNotFound: there is no such account or token. 404.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name is taken, or was. 409.
	ErrExists = errors.New("the name is taken")
	// ErrLastAdmin: nobody would be left who may administer the server. 409.
	ErrLastAdmin = errors.New("this is the last administrator of the server: make another one first")
)

// LimitedError says that there were too many attempts to sign in, or that too many are being checked. 429, with Retry-After.
type LimitedError struct {
	// After is how long to wait, at least a second.
	After time.Duration
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("too many attempts to sign in: try again in %s", e.After.Round(time.Second))
}

// InvalidError says that something that was given cannot be taken. 422.
type InvalidError struct {
	// Field is what is wrong, in the words of the API: "name", "password", "grants[2].role".
	Field   string
	Message string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Message: fmt.Sprintf(format, args...)}
}

// RefusedError says that an identity may not do something. 403.
type RefusedError struct {
	Actor  string
	Action Action
	// Project is what it was asked for, AllProjects for the server.
	Project string
}

func (e *RefusedError) Error() string {
	if e.Project == AllProjects {
		return fmt.Sprintf("%s may not %s on this server: ask an administrator for a role that may", e.Actor, e.Action)
	}
	return fmt.Sprintf("%s may not %s in the project %s: ask an administrator for a role that may", e.Actor, e.Action, e.Project)
}
