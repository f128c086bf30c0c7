package analysis

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// RecordVersion is the version of records that are written now. A judgement is computed again by the rules of its record's version; when a
// rule changes, this number grows and the old rule stays.
const RecordVersion = 1

// Record is everything that a judgement used, and the judgement: what is kept with a release, so that anybody can compute it again.
// Its JSON is exact: it is read back bit for bit.
type Record struct {
	Version int    `json:"version"`
	Config  Config `json:"config"`
	// Hash is [Config.Hash].
	Hash string `json:"hash"`
	// Data are a step's samples, by metric; empty where Scrapes are given.
	Data map[string]Data `json:"data,omitempty"`
	// Start is where a watch stood before the first of Scrapes; nil is its beginning.
	Start *State `json:"start,omitempty"`
	// Scrapes are what a watch has seen since, in order.
	Scrapes   []Scrape  `json:"scrapes,omitempty"`
	Judgement Judgement `json:"judgement"`
}

// Hash is the SHA-256 of the configuration's JSON, in hexadecimal.
func (c Config) Hash() (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("hash a configuration: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// NewRecord judges a step and keeps everything.
func NewRecord(c Config, data map[string]Data) (*Record, error) {
	c = c.WithDefaults()
	hash, err := c.Hash()
	if err != nil {
		return nil, err
	}
	return &Record{Version: RecordVersion, Config: c, Hash: hash, Data: data, Judgement: Judge(c, data)}, nil
}

// NewWatchRecord keeps what a watch has seen, and how it stands after it: start is a state that was kept, nil for the beginning, and
// scrapes all since. It is for the end of a watch: a failure, or a release that is over.
func NewWatchRecord(c Config, start *State, scrapes []Scrape) (*Record, error) {
	c = c.WithDefaults()
	hash, err := c.Hash()
	if err != nil {
		return nil, err
	}
	if start == nil && len(scrapes) == 0 {
		return nil, errors.New("record a watch: nothing was watched")
	}
	r := &Record{Version: RecordVersion, Config: c, Hash: hash, Start: start, Scrapes: scrapes}
	if r.Judgement, err = r.Recompute(); err != nil {
		return nil, fmt.Errorf("record a watch: %w", err)
	}
	return r, nil
}

// Errors of a record that does not prove its judgement.
var (
	// ErrVersion: a record of a version that is not known here.
	ErrVersion = errors.New("the record's version is not known")
	// ErrHash: the configuration is not the one whose hash was recorded.
	ErrHash = errors.New("the configuration is not the one that was recorded")
	// ErrDiffers: the samples do not give the judgement that was recorded.
	ErrDiffers = errors.New("the samples give another judgement than the one that was recorded")
)

// Recompute returns the judgement that the record's configuration and samples give. The one that is recorded is not looked at.
func (r *Record) Recompute() (Judgement, error) {
	if r.Version != RecordVersion {
		return Judgement{}, fmt.Errorf("%w: %d", ErrVersion, r.Version)
	}
	hash, err := r.Config.Hash()
	if err != nil {
		return Judgement{}, err
	}
	if hash != r.Hash {
		return Judgement{}, ErrHash
	}
	if !r.watched() {
		return Judge(r.Config, r.Data), nil
	}
	w, err := Resume(r.Config, r.Start)
	if err != nil {
		return Judgement{}, err
	}
	for i := range r.Scrapes {
		w.Observe(r.Scrapes[i])
	}
	return w.Judgement(), nil
}

// Verify recomputes the judgement and compares it with the recorded one; [ErrDiffers] says that they are not the same.
func (r *Record) Verify() error {
	j, err := r.Recompute()
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(j, r.Judgement) {
		return ErrDiffers
	}
	return nil
}
