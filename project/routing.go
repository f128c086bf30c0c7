package project

import (
	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// StickyBy is what keeps a caller with a version while both are there.
type StickyBy string

const (
	// StickyNone draws anew for each request.
	StickyNone StickyBy = "none"
	// StickyAddress goes by the caller's IP address: all callers behind one proxy are one.
	StickyAddress StickyBy = "address"
	// StickyHeader goes by a header's value; requests without it are drawn anew.
	StickyHeader StickyBy = "header"
	// StickyCookie goes by a cookie, which the agent sets where it is missing.
	StickyCookie StickyBy = "cookie"
)

// Routing says which version a request goes to while there are two.
type Routing struct {
	Sticky StickyBy `json:"sticky"`
	// StickyName is the header's or the cookie's name.
	StickyName string `json:"sticky_name,omitempty"`
	// Rules force a version, before weights; the first that matches counts.
	Rules []Rule `json:"rules,omitempty"`
}

// Which is one of the two versions of a release.
type Which string

const (
	Stable    Which = "stable"
	Candidate Which = "candidate"
)

// Rule forces a version for requests with a header or a cookie, of which one is set.
type Rule struct {
	Header string `json:"header,omitempty"`
	Cookie string `json:"cookie,omitempty"`
	// Value has to be equal; empty is any value.
	Value   string `json:"value,omitempty"`
	Version Which  `json:"version"`
}

// tokenText is a name of a header or a cookie (RFC 9110, 5.6.2).
var tokenText = lazy.New("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func token(dst *string, what string) bind.Value {
	return bind.Parsed(dst, what, bind.Grammar[string]{Form: "a name as HTTP has it, such as X-Account", Pattern: tokenText, Parse: asIs})
}

func (o *Routing) value() bind.Value {
	stick := func(by StickyBy) func() { return func() { o.Sticky = by } }
	return bind.Of(bind.Object{
		Def: "routing", What: "the routing",
		Members: []bind.Member{
			{Key: "sticky", Doc: "What keeps a caller with a version: `none`, `address`, or a header or a cookie by its name. Default: `none`.", Value: bind.Either("sticky",
				bind.Words(&o.Sticky, "sticky", StickyNone, StickyAddress).Then(func() { o.StickyName = "" }),
				bind.Of(bind.Object{
					What: "sticky",
					Members: []bind.Member{
						{Key: "header", Value: token(&o.StickyName, "the header").Then(stick(StickyHeader)), Doc: "Goes by this header; requests without it are drawn anew."},
						{Key: "cookie", Value: token(&o.StickyName, "the cookie").Then(stick(StickyCookie)), Doc: "Goes by this cookie, which the agent sets where it is missing."},
					},
					Choices: []bind.Choice{{Keys: []string{"header", "cookie"}, Need: true}},
				}))},
			{Key: "rules", Value: bind.Items(&o.Rules, "the rules", 0, (*Rule).value), Doc: "Force a version, before weights; the first that matches counts."},
		},
	})
}

func (u *Rule) value() bind.Value {
	return bind.Of(bind.Object{
		What: "a rule",
		Members: []bind.Member{
			{Key: "header", Value: token(&u.Header, "the header"), Doc: "For requests with this header."},
			{Key: "cookie", Value: token(&u.Cookie, "the cookie"), Doc: "For requests with this cookie."},
			{Key: "value", Value: bind.String(&u.Value, "the value"), Doc: "The value that it has to have. Default: any."},
			{Key: "version", Required: true, Value: bind.Words(&u.Version, "the version", Stable, Candidate), Doc: "Where they go."},
		},
		Choices: []bind.Choice{{Keys: []string{"header", "cookie"}, Need: true}},
	})
}
