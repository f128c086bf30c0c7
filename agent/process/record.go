package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gantry-ops/gantry/agent/disk"
)

const (
	recordVersion = 1
	recordFile    = "record.json"
	workDir       = "work"
	logDir        = "log"
)

// record is what is kept of an instance. It has no secret: those are in no field that is written.
type record struct {
	Version int  `json:"version"`
	Spec    Spec `json:"spec"`
	// SecretNames are what to ask for when it is started again.
	SecretNames []string `json:"secretNames,omitempty"`
	// Stop: it is to end for good.
	Stop bool `json:"stop,omitempty"`
	// State as it was last; with Run it says what there should be.
	State    State          `json:"state"`
	Reason   string         `json:"reason,omitempty"`
	Since    time.Time      `json:"since"`
	Ports    map[string]int `json:"ports,omitempty"`
	Run      run            `json:"run,omitzero"`
	Started  time.Time      `json:"started,omitzero"`
	Healthy  bool           `json:"healthy,omitempty"`
	Restarts int            `json:"restarts,omitempty"`
	Crashes  int            `json:"crashes,omitempty"`
	LastExit string         `json:"lastExit,omitempty"`
}

func writeRecord(home string, r record) error {
	r.Version = recordVersion
	r.SecretNames = slices.Sorted(maps.Keys(r.Spec.Secrets))
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := disk.WriteFile(filepath.Join(home, recordFile), data, 0o600); err != nil {
		return fmt.Errorf("record the instance: %w", err)
	}
	return nil
}

// readRecord returns a record. The secrets in its spec have names and empty values.
func readRecord(home string) (record, error) {
	var r record
	data, err := os.ReadFile(filepath.Join(home, recordFile))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", filepath.Join(home, recordFile), err)
	}
	if r.Version != recordVersion {
		return r, fmt.Errorf("read %s: it is of version %d; this program knows %d", filepath.Join(home, recordFile), r.Version, recordVersion)
	}
	for _, name := range r.SecretNames {
		if r.Spec.Secrets == nil {
			r.Spec.Secrets = map[string]string{}
		}
		r.Spec.Secrets[name] = ""
	}
	return r, nil
}

// readID returns the name that is in the markers of a folder's processes, and makes it the first time.
func readID(dir string, fresh func() string) (string, error) {
	name := filepath.Join(dir, "id")
	data, err := os.ReadFile(name)
	if err == nil && len(data) > 0 {
		return string(data), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := fresh()
	return id, disk.WriteFile(name, []byte(id), 0o600)
}
