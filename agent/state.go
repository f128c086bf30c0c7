package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/gantry-ops/gantry/agent/disk"
)

// stateFile holds what is desired, keyFile the key that its secrets are sealed by.
const (
	stateFile = "desired.json"
	keyFile   = "key.age"
)

// state is what is kept on disk of what is desired.
type state struct {
	Desired
	// Sealed are the secrets of instances by ID, as JSON, encrypted by the host's key (age, X25519).
	Sealed []byte `json:"sealed,omitempty"`
}

// vault keeps a host's key.
type vault struct{ identity *age.X25519Identity }

// openVault reads the key in a folder or makes one, readable for its owner alone.
func openVault(dir string) (*vault, error) {
	name := filepath.Join(dir, keyFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, err
		}
		return &vault{id}, disk.WriteFile(name, []byte(id.String()+"\n"), 0o600)
	}
	if err != nil {
		return nil, err
	}
	id, err := age.ParseX25519Identity(string(bytes.TrimSpace(b)))
	if err != nil {
		return nil, fmt.Errorf("read the key in %s: %w", name, err)
	}
	return &vault{id}, nil
}

func (v *vault) seal(secrets map[string]map[string]string) ([]byte, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, v.identity.Recipient())
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(w).Encode(secrets); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (v *vault) open(sealed []byte) (secrets map[string]map[string]string, err error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), v.identity)
	if err != nil {
		return nil, err
	}
	return secrets, json.NewDecoder(r).Decode(&secrets)
}

// save writes what is desired, as a whole or not at all.
func (v *vault) save(dir string, d Desired) error {
	s := state{Desired: d}
	secrets := map[string]map[string]string{}
	s.Instances = append([]Instance(nil), d.Instances...)
	for n := range s.Instances {
		if i := &s.Instances[n]; len(i.Secrets) > 0 {
			secrets[i.Spec.ID] = i.Secrets
			i.Secrets = nil
		}
	}
	s.Tasks = append([]Task(nil), d.Tasks...)
	for n := range s.Tasks {
		if i := s.Tasks[n].Instance; i != nil && len(i.Secrets) > 0 {
			secrets[s.Tasks[n].ID] = i.Secrets
			open := *i
			open.Secrets = nil
			s.Tasks[n].Instance = &open
		}
	}
	var err error
	if s.Sealed, err = v.seal(secrets); err != nil {
		return fmt.Errorf("seal the secrets: %w", err)
	}
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, stateFile), append(b, '\n'), 0o600)
}

// load reads what is desired. Where nothing was asked for yet it is empty. A file that cannot be read is an error, and stays as it is.
func (v *vault) load(dir string) (Desired, error) {
	name := filepath.Join(dir, stateFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Desired{}, nil
	}
	if err != nil {
		return Desired{}, err
	}
	var s state
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return Desired{}, fmt.Errorf("read %s: %w", name, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Desired{}, fmt.Errorf("read %s: there is something after the end", name)
	}
	secrets, err := v.open(s.Sealed)
	if err != nil {
		return Desired{}, fmt.Errorf("open the secrets in %s: %w", name, err)
	}
	for n := range s.Instances {
		s.Instances[n].Secrets = secrets[s.Instances[n].Spec.ID]
	}
	for n := range s.Tasks {
		if i := s.Tasks[n].Instance; i != nil {
			i.Secrets = secrets[s.Tasks[n].ID]
		}
	}
	if err := s.check(); err != nil {
		return Desired{}, fmt.Errorf("read %s: %w", name, err)
	}
	return s.Desired, nil
}
