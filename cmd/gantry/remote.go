package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/runner/action"
)

// defaultActionsURL is where actions come from where --actions-url names no other place.
const defaultActionsURL = "https://github.com"

// remote opens the cache of other repositories: actions and called workflows.
func (s *selection) remote(cache, token string) *forge.Cache {
	return &forge.Cache{
		Dir: filepath.Join(cache, "repositories"), BaseURL: cmp.Or(s.actionsURL, defaultActionsURL), Offline: s.offline, Token: token,
	}
}

// remoteWorkflows finds called workflows of other repositories. It implements [githubactions.Resolver].
type remoteWorkflows struct {
	ctx   context.Context // of the command: reading a workflow has none of its own
	cache func() (*forge.Cache, error)
}

// Workflow implements [githubactions.Resolver].
func (r *remoteWorkflows) Workflow(ref string) (string, []byte, error) {
	where, version, _ := strings.Cut(ref, "@")
	parts := strings.SplitN(where, "/", 3)
	if len(parts) != 3 || version == "" {
		return "", nil, fmt.Errorf("%q is not of the form OWNER/NAME/PATH@REF", ref)
	}
	cache, err := r.cache()
	if err != nil {
		return "", nil, err
	}
	dir, _, err := cache.Fetch(r.ctx, parts[0]+"/"+parts[1], version)
	if err != nil {
		return "", nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", nil, err
	}
	defer root.Close()
	content, err := root.ReadFile(filepath.FromSlash(parts[2]))
	if err != nil {
		return "", nil, fmt.Errorf("%s/%s at %s has no file %s", parts[0], parts[1], version, parts[2])
	}
	return ref, content, nil
}

// checkouter makes work copies for actions/checkout: of the project without any network, of others through the cache.
type checkouter struct {
	local *forge.Local
	cache *forge.Cache
}

var _ action.Checkouter = (*checkouter)(nil)

// CheckOut implements [action.Checkouter].
func (c *checkouter) CheckOut(ctx context.Context, repository, dest string, o action.CheckOut) (string, error) {
	to := forge.CheckOut{
		Ref: o.Ref, Depth: o.Depth, Tags: o.Tags, Sparse: o.Sparse, Cone: o.Cone, Submodules: o.Submodules, LFS: o.LFS, Filter: o.Filter, Clean: o.Clean,
		// A ref that is asked for is meant as it was committed.
		Committed: o.Ref != "",
	}
	if repository == "" {
		return c.local.CheckOut(ctx, dest, to)
	}
	cache := *c.cache
	if o.Server != "" {
		cache.BaseURL = o.Server
	}
	if o.Token != "" {
		cache.Token = o.Token
	}
	return cache.CheckOut(ctx, repository, dest, to)
}
