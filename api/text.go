package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Databases keep no text with NUL or with bytes that are not UTF-8: SQLite ends a query there, PostgreSQL refuses it. Such a request is
// refused before anything is asked for; nothing that people or programs call anything by has them.

const notText = "must be UTF-8 without NUL"

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// checkURL refuses a path or a query that is no text, and a query of which some would be lost.
func checkURL(u *url.URL) *Problem {
	refuse := func(location, message string) *Problem {
		return newProblem(http.StatusUnprocessableEntity, "invalid", location+" "+message, Place{Location: location, Message: message})
	}
	if !isText(u.Path) {
		return refuse("path", notText)
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return refuse("query", "cannot be read: a part of it is wrongly escaped, or has a semicolon")
	}
	for name, values := range q {
		if !isText(name) {
			return refuse("query", notText)
		}
		for _, v := range values {
			if !isText(v) {
				return refuse("query."+name, notText)
			}
		}
	}
	return nil
}

// bodyError is what is wrong with a body, and where.
type bodyError struct{ location, message string }

// Error implements error. NewError takes the two apart again: on the way from here to there huma keeps the text alone.
func (e *bodyError) Error() string { return e.location + ": " + e.message }

// unmarshal reads a body as JSON, for huma: once into an any, by which it is validated, and once into the operation's input.
func unmarshal(data []byte, v any) error {
	parsed, first := v.(*any)
	if first && !utf8.Valid(data) {
		return &bodyError{"body", "must be UTF-8"}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return jsonError(err)
	}
	if first {
		return textIn("body", *parsed)
	}
	return nil
}

// jsonError says in the API's words what is wrong with JSON. Those of the library name types of Go.
func jsonError(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return &bodyError{"body." + kind.Field, "cannot be this JSON " + kind.Value}
	case errors.As(err, &kind):
		return &bodyError{"body", "cannot be a JSON " + kind.Value}
	case errors.As(err, &syntax):
		return &bodyError{"body", fmt.Sprintf("is no JSON at byte %d (%s)", syntax.Offset, strings.TrimPrefix(syntax.Error(), "json: "))}
	}
	return &bodyError{"body", "is no JSON"}
}

// textIn refuses texts that cannot be kept. Half a surrogate has been replaced by then.
func textIn(location string, v any) error {
	switch v := v.(type) {
	case string:
		if !isText(v) {
			return &bodyError{location, notText}
		}
	case []any:
		for i, e := range v {
			if err := textIn(fmt.Sprintf("%s[%d]", location, i), e); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, e := range v {
			if !isText(name) {
				return &bodyError{location, "has a name that " + notText}
			}
			if err := textIn(location+"."+name, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// splitBodyError takes a bodyError's text apart. Names in a location may be anything, so the end is what counts.
func splitBodyError(text string) (location, message string, ok bool) {
	i := strings.LastIndex(text, ": ")
	if i < 0 || !strings.HasPrefix(text, "body") {
		return "", "", false
	}
	return text[:i], text[i+2:], true
}
