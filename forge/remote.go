package forge

import (
	"net/url"
	"path"
	"strings"
)

// Remote is where a repository is at home.
type Remote struct {
	// URL as the repository has it, without user and password.
	URL string
	// Server is the address of the web pages, such as "https://github.com"; empty for a path.
	Server string
	// Owner is the user, organisation or group ("group/subgroup"), Name the repository's own.
	Owner, Name string
}

// ParseRemote takes an address of a repository apart: a URL, "user@host:path" as of scp, or a path.
func ParseRemote(address string) Remote {
	r := Remote{URL: address}
	p := address
	if u, err := url.Parse(address); err == nil && u.Scheme != "" && strings.Contains(address, "://") {
		switch u.Scheme {
		case "http", "https":
			r.Server = u.Scheme + "://" + u.Host
		case "file":
		default:
			if u.Hostname() != "" {
				r.Server = "https://" + u.Hostname() // the port is that of ssh
			}
		}
		p = u.Path
		if u.User != nil {
			if u.Scheme == "http" || u.Scheme == "https" {
				u.User = nil // it may hold a password or token
			} else if _, secret := u.User.Password(); secret {
				u.User = url.User(u.User.Username())
			}
			r.URL = u.String()
		}
	} else if host, rest, ok := strings.Cut(address, ":"); ok && host != "" && !strings.Contains(host, "/") && len(host) > 1 {
		if _, after, ok := strings.Cut(host, "@"); ok {
			host = after
		}
		r.Server, p = "https://"+strings.Trim(host, "[]"), rest
	}
	p = strings.TrimSuffix(strings.Trim(path.Clean("/"+strings.ReplaceAll(p, `\`, "/")), "/"), ".git")
	r.Owner, r.Name = path.Split(p)
	r.Owner = strings.Trim(r.Owner, "/")
	if r.Server == "" { // of a path only the last folder says something
		r.Owner = path.Base("/" + r.Owner)
		r.Owner = strings.Trim(r.Owner, "/")
	}
	return r
}
