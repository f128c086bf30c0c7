package runs

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what people set.
const (
	maxName      = 200
	maxURL       = 2000
	maxRef       = 1000
	maxValue     = 48 << 10 // a variable's value, as GitHub bounds it
	maxVariables = 1000     // a project and environment's
	maxDays      = 36500
	// MinPoll is the least distance between two looks at a source, in seconds.
	MinPoll = 5
	maxPoll = 7 * 24 * 3600
)

var (
	projectID    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	environment  = regexp.MustCompile(`^[^\x00-\x1f'"` + "`" + `,;\\]{1,255}$`)
	fullName     = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$`)
)

// invalid says what is wrong with a field.
func invalid(field string, value any, format string, args ...any) error {
	return &InvalidError{Field: field, Value: value, Message: fmt.Sprintf(format, args...)}
}

// line checks a text that is shown in one line.
func line(field, s string, most int) error {
	switch {
	case !utf8.ValidString(s):
		return invalid(field, nil, "must be UTF-8")
	case len(s) > most:
		return invalid(field, nil, "must have at most %d bytes, not %d", most, len(s))
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return invalid(field, s, "must not contain control characters")
	}
	return nil
}

// between checks a number's range.
func between(field string, n, least, most int) error {
	if n < least || n > most {
		return invalid(field, n, "must be from %d to %d", least, most)
	}
	return nil
}

// check says what is wrong with a project.
func (p *Project) check() error {
	if !projectID.MatchString(p.ID) {
		return invalid("id", p.ID, `must have 1 to 64 of a-z, 0-9 and "-", and begin with a letter`)
	}
	if err := line("name", p.Name, maxName); err != nil {
		return err
	}
	if err := p.Source.check(); err != nil {
		return err
	}
	if err := p.Forge.check(); err != nil {
		return err
	}
	if p.Poll != 0 {
		if err := between("poll_seconds", p.Poll, MinPoll, maxPoll); err != nil {
			return err
		}
	}
	for field, days := range map[string]int{"retention.runs_days": p.Retention.Runs, "retention.logs_days": p.Retention.Logs, "retention.artifacts_days": p.Retention.Artifacts} {
		if err := between(field, days, 0, maxDays); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) check() error {
	if s.URL == "" {
		return invalid("source.url", "", "is required: an address that git clones, or a folder of the server's machine")
	}
	if err := line("source.url", s.URL, maxURL); err != nil {
		return err
	}
	if strings.HasPrefix(s.URL, "-") || strings.HasPrefix(strings.ToLower(s.URL), "ext::") || strings.HasPrefix(strings.ToLower(s.URL), "fd::") {
		return invalid("source.url", s.URL, "must be an address that git clones over https, http, ssh or file, or a path")
	}
	if scheme, _, ok := strings.Cut(s.URL, "://"); ok {
		u, err := url.Parse(s.URL)
		if err != nil {
			return invalid("source.url", nil, "is no URL") // without its text, which may hold a password
		}
		if !slices.Contains([]string{"https", "http", "ssh", "file", "git"}, strings.ToLower(scheme)) {
			return invalid("source.url", nil, "must begin with https, http, ssh, git or file, not %q", scheme)
		}
		if _, has := u.User.Password(); has {
			return invalid("source.url", nil, "must not hold a password: give the token of the forge instead, which is kept encrypted")
		}
	}
	if s.Folder && strings.Contains(s.URL, "://") {
		return invalid("source.url", s.URL, "must be a path of the server's machine where source.folder is set")
	}
	if s.Path != "" {
		if err := line("source.path", s.Path, maxURL); err != nil {
			return err
		}
		if clean := path.Clean(s.Path); path.IsAbs(s.Path) || clean == ".." || strings.HasPrefix(clean, "../") || strings.Contains(s.Path, `\`) {
			return invalid("source.path", s.Path, "must be a folder within the repository, with forward slashes")
		}
	}
	return branch("source.default_branch", s.DefaultBranch)
}

// branch checks a name that git may see.
func branch(field, name string) error {
	if err := line(field, name, maxRef); err != nil {
		return err
	}
	if strings.HasPrefix(name, "-") || strings.ContainsAny(name, " ~^:?*[\\") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return invalid(field, name, "is not the name of a branch, a tag or a commit")
	}
	return nil
}

func (f *Forge) check() error {
	if !slices.Contains([]string{"", "github", "gitlab", "bitbucket"}, f.Kind) {
		return invalid("forge.kind", f.Kind, "must be github, gitlab, bitbucket, or empty for plain Git")
	}
	if f.BaseURL != "" {
		u, err := url.Parse(f.BaseURL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			return invalid("forge.base_url", nil, "must be an http or https address without a user")
		}
	}
	if f.Kind == "" {
		return nil
	}
	if !fullName.MatchString(f.Repository) || len(f.Repository) > maxURL {
		return invalid("forge.repository", f.Repository, `must be the repository's full name there: "owner/name"`)
	}
	return nil
}

// check says what is wrong with an environment.
func (e *Environment) check() error {
	if !environment.MatchString(e.Name) || strings.TrimSpace(e.Name) != e.Name || !utf8.ValidString(e.Name) {
		return invalid("name", e.Name, "must have 1 to 255 characters, none of them a control character, a quote, a comma, a semicolon or a backslash")
	}
	for _, b := range []struct {
		field   string
		n, most int
	}{{"approvals", e.Approvals, 20}, {"wait_minutes", e.Wait, 43200}, {"expire_hours", e.Expire, 8760}} {
		if err := between(b.field, b.n, 0, b.most); err != nil {
			return err
		}
	}
	people := map[string]bool{}
	for i, name := range e.Approvers {
		field := fmt.Sprintf("approvers[%d]", i)
		if err := line(field, name, maxName); err != nil {
			return err
		}
		if name == "" || people[strings.ToLower(name)] {
			return invalid(field, name, "must be the name of an account, each once")
		}
		people[strings.ToLower(name)] = true
	}
	if len(e.Approvers) > 0 && len(e.Approvers) < e.Approvals {
		return invalid("approvals", e.Approvals, "asks for more people than approvers names")
	}
	for i, p := range e.Refs {
		field := fmt.Sprintf("refs[%d]", i)
		if err := line(field, p, maxURL); err != nil {
			return err
		}
		if !strings.HasPrefix(p, "refs/") {
			return invalid(field, p, `must be a pattern for full refs, such as "refs/heads/release/*"`)
		}
		if _, err := refPattern(p); err != nil {
			return invalid(field, p, "is no pattern: %v", err)
		}
	}
	return nil
}

// check says what is wrong with a variable.
func (v *Variable) check() error {
	switch {
	case !variableName.MatchString(v.Name) || len(v.Name) > 255:
		return invalid("name", v.Name, "must have 1 to 255 letters, digits and underscores, and not begin with a digit")
	case strings.HasPrefix(strings.ToUpper(v.Name), "GITHUB_"):
		return invalid("name", v.Name, "must not begin with GITHUB_, which the formats use themselves")
	case len(v.Value) > maxValue:
		return invalid("value", nil, "must have at most %d bytes, not %d", maxValue, len(v.Value))
	case !utf8.ValidString(v.Value) || strings.ContainsRune(v.Value, 0):
		return invalid("value", nil, "must be UTF-8 without NUL")
	}
	if v.Environment != "" {
		return line("environment", v.Environment, 255)
	}
	return nil
}

// refPattern compiles a pattern for full refs: * stands for anything but a slash, ** for anything.
func refPattern(p string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString("^")
	for i := 0; i < len(p); i++ {
		switch {
		case strings.HasPrefix(p[i:], "**"):
			b.WriteString(".*")
			i++
		case p[i] == '*':
			b.WriteString("[^/]*")
		case p[i] == '?':
			b.WriteString("[^/]")
		default:
			j := i
			for j < len(p) && p[j] != '*' && p[j] != '?' {
				j++
			}
			b.WriteString(regexp.QuoteMeta(p[i:j]))
			i = j - 1
		}
	}
	b.WriteString("$")
	return regexp.Compile(b.String())
}

// allowsRef reports whether one of the patterns, or none, lets a ref deploy.
func (e *Environment) allowsRef(ref string) bool {
	if len(e.Refs) == 0 {
		return true
	}
	return slices.ContainsFunc(e.Refs, func(p string) bool {
		re, err := refPattern(p)
		return err == nil && re.MatchString(ref)
	})
}
