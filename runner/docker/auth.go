package docker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
)

// credentials are what a file gives for an image; empty, those of docker login apply.
type credentials struct{ username, password string }

// hubKey is the name under which docker login keeps the credentials of Docker Hub.
const hubKey = "https://index.docker.io/v1/"

// encode returns the credentials for an image's registry as the engine takes them; empty: none.
func (c credentials) encode(ctx context.Context, image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", image, err)
	}
	host := reference.Domain(named)
	if host == "docker.io" {
		host = hubKey
	}
	if c.username != "" {
		return authconfig.Encode(registry.AuthConfig{Username: c.username, Password: c.password, ServerAddress: host})
	}
	a, err := loginOf(ctx, host)
	if err != nil || a == nil {
		return "", err
	}
	return authconfig.Encode(*a)
}

// loginOf looks a registry up in the configuration that docker login writes ($DOCKER_CONFIG/config.json); nil: none.
func loginOf(ctx context.Context, host string) (*registry.AuthConfig, error) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, nil // nobody's home: nobody logged in
		}
		dir = filepath.Join(home, ".docker")
	}
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var file struct {
		Auths map[string]struct {
			Auth          string `json:"auth"`
			IdentityToken string `json:"identitytoken"`
		} `json:"auths"`
		CredsStore  string            `json:"credsStore"`
		CredHelpers map[string]string `json:"credHelpers"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if helper := file.CredHelpers[host]; helper != "" {
		return askHelper(ctx, helper, host)
	}
	for _, key := range []string{host, "https://" + host, "http://" + host} {
		a, ok := file.Auths[key]
		if !ok || a.Auth == "" && a.IdentityToken == "" {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(a.Auth)
		if err != nil {
			return nil, fmt.Errorf("read %s: the entry of %s is not base64", path, host)
		}
		user, password, _ := strings.Cut(strings.TrimRight(string(raw), "\x00"), ":")
		return &registry.AuthConfig{Username: user, Password: password, IdentityToken: a.IdentityToken, ServerAddress: host}, nil
	}
	if file.CredsStore != "" {
		return askHelper(ctx, file.CredsStore, host)
	}
	return nil, nil
}

// askHelper asks a credential helper, a program that keeps logins outside of the file.
func askHelper(ctx context.Context, name, host string) (*registry.AuthConfig, error) {
	cmd := exec.CommandContext(ctx, "docker-credential-"+name, "get")
	cmd.Stdin = strings.NewReader(host)
	out, err := cmd.Output()
	if err != nil {
		if bytes.Contains(out, []byte("credentials not found")) {
			return nil, nil
		}
		return nil, fmt.Errorf("ask docker-credential-%s for %s: %w", name, host, err)
	}
	var got struct{ Username, Secret string }
	if err := json.Unmarshal(out, &got); err != nil {
		return nil, fmt.Errorf("ask docker-credential-%s for %s: its answer is not JSON", name, host)
	}
	a := &registry.AuthConfig{Username: got.Username, Password: got.Secret, ServerAddress: host}
	if got.Username == "<token>" {
		a.Username, a.Password, a.IdentityToken = "", "", got.Secret
	}
	return a, nil
}
