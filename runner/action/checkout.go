package action

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner/storage"
)

// checkoutAction stands for actions/checkout. The run's own repository comes from the folder that the run is for, with
// the changes that are not committed: no network and no token is needed for it.
var checkoutAction = &builtin{
	inputs: []pipeline.Input{
		input("repository", ""), input("ref", ""), input("token", ""), input("ssh-key", ""), input("ssh-known-hosts", ""),
		input("ssh-strict", "true"), input("ssh-user", "git"), input("persist-credentials", "true"), input("path", ""),
		input("clean", "true"), input("filter", ""), input("sparse-checkout", ""), input("sparse-checkout-cone-mode", "true"),
		input("fetch-depth", "1"), input("fetch-tags", "false"), input("show-progress", "true"), input("lfs", "false"),
		input("submodules", "false"), input("set-safe-directory", "true"), input("github-server-url", ""),
		input("allow-unsafe-pr-checkout", "false"),
	},
	run: runCheckout,
}

func runCheckout(ctx context.Context, c *call) (pipeline.Status, error) {
	if c.o.Checkout == nil {
		return "", errors.New("checking out is not set up in this run")
	}
	scope := c.step.Scope()
	work := c.ws().Machine().Workspace
	dest := c.path(c.text("path"))
	if !storage.Within(work, dest) {
		return "", fmt.Errorf("path %q leads out of the work folder %s", c.text("path"), work)
	}
	repository, o, err := c.checkoutOptions(scope)
	if err != nil {
		return "", err
	}
	own := repository == ""
	var commit string
	switch {
	case own && c.o.InPlace && dest == work:
		if o.Ref != "" {
			return "", fmt.Errorf("the run takes place in the repository's own folder, where %q is not to be checked out; run it without --in-place", o.Ref)
		}
		commit = scope.Run.Change.SHA
		c.logf("The run takes place in the repository's own folder: it stays as it is.")
	default:
		if commit, err = c.checkOutTo(ctx, repository, dest, o); err != nil {
			return "", err
		}
		if err := c.afterCheckout(ctx, dest); err != nil {
			return "", err
		}
	}
	ref := c.text("ref")
	if ref == "" && own {
		ref = scope.Run.Change.Ref
	}
	if ref == "" {
		ref = commit
	}
	c.output("ref", ref)
	c.output("commit", commit)
	return pipeline.Success, nil
}

// checkoutOptions reads the inputs. repository is empty for the run's own.
func (c *call) checkoutOptions(scope *pipeline.Scope) (repository string, o CheckOut, err error) {
	repository = c.text("repository")
	if strings.EqualFold(repository, scope.Run.Repository.FullName()) {
		repository = ""
	}
	if repository != "" {
		if parts := strings.Split(repository, "/"); len(parts) < 2 || parts[0] == "" || parts[len(parts)-1] == "" {
			return "", o, fmt.Errorf("repository %q is not of the form OWNER/NAME", repository)
		}
	}
	o.Ref = c.text("ref")
	if strings.HasPrefix(o.Ref, "-") {
		return "", o, fmt.Errorf("ref %q cannot be the name of a branch, tag or commit", o.Ref)
	}
	if repository == "" && isOwnRef(o.Ref, scope.Run.Change) {
		o.Ref = ""
	}
	if c.text("ssh-key") != "" {
		if repository != "" {
			return "", o, errors.New("ssh-key is not supported here: give a token, or let git find a key by its own configuration")
		}
		c.logf("ssh-key is not needed: the repository is at hand.")
	}
	o.Token = c.text("token")
	if o.Token == "" && !c.in.given["token"] {
		o.Token = scope.Run.Token
	}
	if o.Token != "" {
		c.job.Mask(o.Token)
	}
	if s := strings.TrimSuffix(c.text("github-server-url"), "/"); s != strings.TrimSuffix(scope.Run.Repository.Server, "/") {
		o.Server = s
	}
	var show, safe bool
	err = c.booleans(map[string]*bool{"clean": &o.Clean, "fetch-tags": &o.Tags, "lfs": &o.LFS, "sparse-checkout-cone-mode": &o.Cone, "show-progress": &show, "set-safe-directory": &safe})
	if err != nil {
		return "", o, err
	}
	if o.Depth, err = c.number("fetch-depth", 1); err != nil {
		return "", o, err
	}
	o.Filter, o.Sparse = c.text("filter"), c.lines("sparse-checkout")
	switch s := strings.ToLower(c.text("submodules")); s {
	case "true", "recursive":
		o.Submodules = s
	case "false", "":
	default:
		return "", o, fmt.Errorf("input \"submodules\" is %q; it must be true, false or recursive", s)
	}
	return repository, o, nil
}

// isOwnRef reports whether a ref means what the run is for anyway.
func isOwnRef(ref string, ch pipeline.Change) bool {
	switch ref {
	case "", ch.SHA, ch.Ref:
		return true
	}
	return ref == strings.TrimPrefix(ch.Ref, "refs/heads/") || ref == strings.TrimPrefix(ch.Ref, "refs/tags/") || ref == ch.Head && ch.Head != ""
}

// checkOutTo makes a work copy at a path of the job.
func (c *call) checkOutTo(ctx context.Context, repository, dest string, o CheckOut) (commit string, err error) {
	if host, ok := c.ws().HostPath(dest); ok {
		return c.o.Checkout.CheckOut(ctx, repository, host, o)
	}
	temp, err := os.MkdirTemp("", "gantry-checkout-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	host := filepath.Join(temp, "work")
	if commit, err = c.o.Checkout.CheckOut(ctx, repository, host, o); err != nil {
		return "", err
	}
	if o.Clean {
		c.empty(ctx, dest)
	}
	if err := c.ws().CopyIn(ctx, host, dest); err != nil {
		return "", fmt.Errorf("copy the work copy into the job: %w", err)
	}
	return commit, nil
}

// empty removes what is in a folder of the job. A fault shows when the copy does not fit.
func (c *call) empty(ctx context.Context, dir string) {
	c.exec(ctx, "find", dir, "-mindepth", "1", "-delete")
}

// afterCheckout sets up git in the job for the work copy: credentials for later steps, and that git trusts the folder
// although another user may own it, as is common in containers.
func (c *call) afterCheckout(ctx context.Context, dest string) error {
	persist, err := c.boolean("persist-credentials")
	if err != nil {
		return err
	}
	if token := c.token(); persist && token != "" {
		if err := c.persist(ctx, dest, token); err != nil {
			return fmt.Errorf("keep the token for git: %w", err)
		}
	}
	safe, err := c.boolean("set-safe-directory")
	if err != nil {
		return err
	}
	if safe && c.ws().Container() != nil {
		if git, ok := c.look(ctx, "git"); ok {
			c.exec(ctx, git, "config", "--global", "--add", "safe.directory", dest)
		}
	}
	return nil
}

func (c *call) token() string {
	if t := c.text("token"); t != "" || c.in.given["token"] {
		return t
	}
	return c.step.Scope().Run.Token
}

// persist writes the token to a file that goes with the job, and has the work copy's configuration include it: the token
// is never part of the work copy.
func (c *call) persist(ctx context.Context, dest, token string) error {
	server := strings.TrimSuffix(c.text("github-server-url"), "/")
	if server == "" {
		server = strings.TrimSuffix(c.step.Scope().Run.Repository.Server, "/")
	}
	if server == "" {
		return nil
	}
	config := path.Join(dest, ".git", "config")
	old, err := c.ws().ReadFile(ctx, config, 1<<20)
	if err != nil {
		return nil // no repository of its own: a sub-folder, or no git at all
	}
	basic := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))
	c.job.Mask(basic)
	file := path.Join(c.ws().Machine().Temp, "git-credentials-"+storage.RandomName()+".config")
	header := fmt.Sprintf("[http %q]\n\textraheader = AUTHORIZATION: basic %s\n", server+"/", basic)
	if err := c.ws().WriteFile(ctx, file, []byte(header), 0o600); err != nil {
		return err
	}
	return c.ws().WriteFile(ctx, config, fmt.Appendf(old, "[include]\n\tpath = %q\n", file), 0o644)
}
