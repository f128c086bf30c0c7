package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/store"
)

// logins are the servers that a person has signed in to. They are kept in a file that others cannot read.
type logins struct {
	// Current is the server that was signed in to last.
	Current string           `json:"current"`
	Servers map[string]login `json:"servers"`
}

type login struct {
	Account string `json:"account"`
	Token   string `json:"token"`
	// Made: signing in has made the token, so signing out revokes it.
	Made    bool       `json:"made,omitempty"`
	Expires store.Time `json:"expires,omitzero"`
}

func loginsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder of your settings: %w", err)
	}
	return filepath.Join(dir, "gantry", "logins.json"), nil
}

// readLogins reads what earlier sign-ins have left; nothing is no error.
func readLogins() (*logins, error) {
	l := &logins{Servers: map[string]login{}}
	file, err := loginsFile()
	if err != nil {
		return l, err
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("read your sign-ins: %w", err)
	}
	if err := json.Unmarshal(b, l); err != nil {
		return &logins{Servers: map[string]login{}}, fmt.Errorf("read your sign-ins: %s: %w (remove the file and sign in again)", file, err)
	}
	if l.Servers == nil {
		l.Servers = map[string]login{}
	}
	return l, nil
}

// write replaces the file as a whole, so that a crash leaves the old one or the new one.
func (l *logins) write() error {
	file, err := loginsFile()
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep your sign-in: %w", err)
	}
	temp, err := os.CreateTemp(dir, ".logins-") // 0600 from its first byte on
	if err != nil {
		return fmt.Errorf("keep your sign-in: %w", err)
	}
	_, err = temp.Write(append(b, '\n'))
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep your sign-in: %w", err), os.Remove(temp.Name()))
	}
	return nil
}

func (l *logins) urls() []string { return slices.Sorted(maps.Keys(l.Servers)) }

// address is a server's URL as it is kept: scheme, host and path alone. Without a scheme it is https, or http for this machine.
func address(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if !strings.Contains(text, "://") {
		scheme := "https://"
		host, _, _ := strings.Cut(text, ":")
		if host == "localhost" || host == "127.0.0.1" || strings.HasPrefix(text, "[::1]") {
			scheme = "http://"
		}
		text = scheme + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", usagef("%q is no address of a server; expected one such as https://ci.example.com", text)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimSuffix(u.Path, "/"), nil
}
