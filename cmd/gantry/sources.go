package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/secret"
)

// The names of the secrets that the server itself keeps for a project.
const (
	forgeTokenSecret   = secret.Own + "forge-token"
	webhookSecretValue = secret.Own + "webhook-secret"
)

// ownSecrets reads the server's own secrets; *secret.Store does.
type ownSecrets interface {
	Own(ctx context.Context, project, name string) (string, error)
}

// own reads a secret of the server's own; empty where there is none.
func own(ctx context.Context, s ownSecrets, project, name string) (string, error) {
	v, err := s.Own(ctx, project, name)
	if errors.Is(err, secret.ErrNotFound) {
		return "", nil
	}
	return v, err
}

// sources keeps mirrors of the projects' repositories. It implements [runs.Sources].
type sources struct {
	dir     string
	secrets ownSecrets

	mu sync.Mutex
	// mirrors are by project; key is what one was opened with.
	mirrors map[string]openMirror
}

type openMirror struct {
	key    string
	mirror *forge.Mirror
}

var _ runs.Sources = (*sources)(nil)

func newSources(dir string, secrets ownSecrets) *sources {
	return &sources{dir: dir, secrets: secrets, mirrors: map[string]openMirror{}}
}

// mirror opens the mirror of a project. Another address gets another folder: nothing of one repository is ever in another's.
func (s *sources) mirror(ctx context.Context, p *runs.Project) (*forge.Mirror, error) {
	token := ""
	if p.Forge.HasToken {
		var err error
		if token, err = own(ctx, s.secrets, p.ID, forgeTokenSecret); err != nil {
			return nil, fmt.Errorf("read the forge's token of %s: %w", p.ID, err)
		}
	}
	address := p.Source.URL
	if p.Source.Folder {
		address = ""
	}
	sum := sha256.Sum256([]byte(p.Source.URL))
	sealed := sha256.Sum256([]byte(p.Source.URL + "\x00" + token))
	key := hex.EncodeToString(sealed[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.mirrors[p.ID]; ok && o.key == key {
		return o.mirror, nil
	}
	m, err := forge.OpenMirror(filepath.Join(s.dir, p.ID+"-"+hex.EncodeToString(sum[:6])), address, token)
	if err != nil {
		return nil, err
	}
	s.mirrors[p.ID] = openMirror{key, m}
	return m, nil
}

// Heads implements [runs.Sources]. Those of a folder are its files as they are now.
func (s *sources) Heads(ctx context.Context, p *runs.Project) (map[string]string, string, error) {
	m, err := s.mirror(ctx, p)
	if err != nil {
		return nil, "", err
	}
	if p.Source.Folder {
		commit, branch, err := m.RecordFolder(ctx, p.Source.URL)
		if err != nil {
			return nil, "", err
		}
		return map[string]string{"refs/heads/" + branch: commit}, branch, nil
	}
	return m.Heads(ctx)
}

// Snapshot implements [runs.Sources].
func (s *sources) Snapshot(ctx context.Context, p *runs.Project, ref string) (*runs.Snapshot, func(), error) {
	local, release, err := s.local(ctx, p, ref)
	if errors.Is(err, forge.ErrNoRef) {
		return nil, nil, &runs.InvalidError{Field: "ref", Value: ref, Message: forge.ErrNoRef.Error() + " in the repository of " + p.ID}
	}
	if err != nil {
		return nil, nil, err
	}
	out := &runs.Snapshot{Dir: local.Dir, Repository: repositoryFacts(local), Change: changeFacts(local)}
	if local.Branch == "" {
		// A commit alone says nothing of the branch that it is wanted for.
		out.Change.Ref, out.Change.Head = "", ""
		if strings.HasPrefix(ref, "refs/") {
			out.Change.Ref = ref
		} else if len(local.Tags) > 0 && ref == local.Tags[0] {
			out.Change.Ref = "refs/tags/" + ref
		}
	}
	out.Change.Files, out.Change.FilesKnown = nil, false
	return out, release, nil
}

// local makes the files of a project at a ref readable, with the facts of the commit.
func (s *sources) local(ctx context.Context, p *runs.Project, ref string) (*forge.Local, func(), error) {
	m, err := s.mirror(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	branch := ""
	if p.Source.Folder && !isSHA(ref) {
		// The folder has one state, whatever ref is asked for.
		if ref, branch, err = m.RecordFolder(ctx, p.Source.URL); err != nil {
			return nil, nil, err
		}
	}
	ref = cmp.Or(ref, p.Source.DefaultBranch)
	snapshot, release, err := m.Snapshot(ctx, ref, p.Source.Path)
	if err != nil {
		return nil, nil, err
	}
	l := *snapshot.Local
	l.Branch = cmp.Or(l.Branch, branch)
	if p.Source.Folder {
		l.Remote = forge.Remote{Owner: "local", Name: filepath.Base(p.Source.URL)}
		l.DefaultBranch = cmp.Or(l.Branch, l.DefaultBranch)
	}
	if p.Source.DefaultBranch != "" {
		l.DefaultBranch = p.Source.DefaultBranch
	}
	if p.Forge.Repository != "" {
		if owner, name, err := forge.SplitRepository(p.Forge.Repository); err == nil {
			l.Owner, l.Name = owner, name
		}
	}
	return &l, release, nil
}

// isSHA reports whether a text is a commit's ID in full.
func isSHA(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// ChangedFiles implements [runs.Sources].
func (s *sources) ChangedFiles(ctx context.Context, p *runs.Project, base, head string, mergeBase bool) ([]string, bool, error) {
	m, err := s.mirror(ctx, p)
	if err != nil {
		return nil, false, err
	}
	return m.ChangedFiles(ctx, base, head, p.Source.Path, mergeBase)
}

// Archive implements [runs.Sources].
func (s *sources) Archive(ctx context.Context, p *runs.Project, sha string, w io.Writer) error {
	m, err := s.mirror(ctx, p)
	if err != nil {
		return err
	}
	return m.Bundle(ctx, sha, nil, w)
}
