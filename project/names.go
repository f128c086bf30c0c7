package project

import (
	"errors"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Names of services, environments, regions, ports and the like become labels, folders and parts of URLs, so they are DNS labels (RFC 1123).
var nameText = lazy.New(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

const nameForm = "made of small letters, digits and '-', at most 63, such as order-gateway"

func nameKeys(what string) bind.Keys {
	return bind.Keys{What: what, Form: nameForm, Pattern: nameText}
}

func name(dst *string, what string) bind.Value {
	return bind.Parsed(dst, what, bind.Grammar[string]{Form: nameForm, Pattern: nameText, Parse: asIs, Format: itself})
}

func asIs(s string) (string, error) { return s, nil }
func itself(s string) string        { return s }

// variableText is a name of an environment variable that all shells take.
var variableText = lazy.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

const variableForm = "made of letters, digits and '_', and begins with no digit"

func variableKeys(what string) bind.Keys {
	return bind.Keys{What: what, Form: variableForm, Pattern: variableText}
}

func variable(dst *string, what string) bind.Value {
	return bind.Parsed(dst, what, bind.Grammar[string]{Form: variableForm, Pattern: variableText, Parse: asIs, Format: itself})
}

// secretText is a name of the server's secrets.
var secretText = lazy.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// fileText is a path that is not empty and not absolute.
var fileText = lazy.New(`^[^/\\]([^\\]*[^\\/])?$`)

// file binds a path relative to a folder of the project, with forward slashes.
func file(dst *string, what string) bind.Value {
	return bind.Parsed(dst, what, bind.Grammar[string]{
		Form: "a relative path with forward slashes", Pattern: fileText, Format: itself,
		Parse: func(p string) (string, error) {
			p = path.Clean(p)
			if p == ".." || strings.HasPrefix(p, "../") {
				return "", errors.New("it leaves the project")
			}
			return p, nil
		},
	})
}

// urlPathText is the path of a URL, perhaps with a query.
var urlPathText = lazy.New(`^/[!-~]*$`)

func urlPath(dst *string, what string) bind.Value {
	return bind.Parsed(dst, what, bind.Grammar[string]{Form: "a path that begins with '/'", Pattern: urlPathText, Parse: asIs, Format: itself})
}

// addressText is host:port, where the host may be missing, a name, an IPv4 or, in brackets, an IPv6 address.
var addressText = lazy.New(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])?:[0-9]{1,5}$`)

func address(dst *string, what string) bind.Value {
	return bind.Parsed(dst, what, bind.Grammar[string]{
		Form: `an address to listen on, such as ":8080" or "127.0.0.1:8080"`, Pattern: addressText, Format: itself,
		Parse: func(text string) (string, error) {
			host, port := splitAddress(text)
			if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
				return "", errors.New("a port is a number from 1 to 65535")
			}
			if strings.Contains(host, ":") {
				if _, err := netip.ParseAddr(host); err != nil {
					return "", errors.New("what is in the brackets is no IPv6 address")
				}
			}
			return text, nil
		},
	})
}

// splitAddress takes an address that matches addressText apart.
func splitAddress(text string) (host, port string) {
	i := strings.LastIndexByte(text, ':')
	return strings.Trim(text[:i], "[]"), text[i+1:]
}
