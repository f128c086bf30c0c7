package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"gocloud.dev/blob"

	"github.com/gantry-ops/gantry/store"
)

// Options are what a Store is made of.
type Options struct {
	DB *store.DB
	// Blobs take the chunks of long logs, under keys that begin with Prefix.
	Blobs *blob.Bucket
	// Poll is after how long a watcher learns what another server has appended; 0: a second.
	Poll time.Duration
	// Tidy is how often Tidy is called by itself; 0: hourly, negative: never.
	Tidy time.Duration
	// Log is told of work beside transactions that failed and will be tried again; nil: nobody is.
	Log *slog.Logger
}

// Prefix is what the keys of all blobs of logs begin with.
const Prefix = "logs/"

// Sizes, in bytes before compression unless said otherwise; see BenchmarkSizes for why they are what they are.
const (
	// chunkSize is where a chunk ends: what is decompressed for a single line.
	chunkSize = 256 << 10
	// mergeSize is up to where the newest chunk is rewritten by an append instead of being followed by another one: a job that writes
	// a line a second gets a row for hundreds of them.
	mergeSize = 16 << 10
	// keepSize is how much a log that is complete may leave in the database.
	keepSize = 256 << 10
	// blobSize is how much of a log is moved into one blob, and what a log that grows has in the database at most, nearly.
	blobSize = 8 << 20
	// cacheSize is how much is kept decompressed for those who follow or scroll through a log.
	cacheSize = 16 << 20
)

// MaxLines bounds what Read returns at a time; DefaultLines is what it returns where nothing was said.
const (
	MaxLines     = 10_000
	DefaultLines = 1000
)

// ErrComplete is the error of an append to a log that was completed.
var ErrComplete = errors.New("the log is complete")

// Store keeps logs. It is safe for concurrent use, and any number of servers may have one on the same database and bucket.
type Store struct {
	o     Options
	cache cache
	hub   hub
	codec codec
	// keep and move are keepSize and blobSize, unless a test has smaller logs.
	keep, move int64

	// ctx ends with Close, and the work beside transactions with it.
	ctx    context.Context
	cancel context.CancelFunc
	beside sync.WaitGroup

	// compacting lets one log be compacted at a time: two would write the same blobs.
	compacting sync.Mutex

	mu sync.Mutex
	// working: a goroutine takes from these. due are logs to compact, doomed keys of blobs to delete.
	working bool
	due     []string
	isDue   map[string]struct{}
	doomed  []string
	closed  bool
}

// state is the row of a log.
type state struct {
	bun.BaseModel `bun:"table:logs"`

	Job string `bun:",pk"`
	// Lines and Bytes are of the whole log; Bytes count text with an end for each line.
	Lines, Bytes int64
	// Spilled is the last line that is in a blob, Inline how many bytes of chunks are not.
	Spilled, Inline int64
	// TailFirst and TailBytes are of the newest chunk.
	TailFirst, TailBytes int64
	Complete             bool
}

// chunk is the row of a chunk.
type chunk struct {
	bun.BaseModel `bun:"table:log_chunks"`

	Job   string `bun:",pk"`
	First int64  `bun:",pk"`
	// Lines is how many there are, Bytes how many they are before compression, Size after.
	Lines, Bytes, Size int64
	// Time is the first line's.
	Time store.Time
	// Data has the chunk, or Blob and Start say where it is.
	Data  []byte
	Blob  string
	Start int64
}

var migrations = []store.Migration{{
	Name: "0001 logs",
	SQL: `
CREATE TABLE logs (
	job TEXT NOT NULL PRIMARY KEY,
	lines BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	spilled BIGINT NOT NULL,
	inline BIGINT NOT NULL,
	tail_first BIGINT NOT NULL,
	tail_bytes BIGINT NOT NULL,
	complete BOOLEAN NOT NULL
);
CREATE TABLE log_chunks (
	job TEXT NOT NULL,
	first BIGINT NOT NULL,
	lines BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	size BIGINT NOT NULL,
	time BIGINT NOT NULL,
	data $BYTES,
	blob TEXT NOT NULL,
	start BIGINT NOT NULL,
	PRIMARY KEY (job, first)
);
CREATE INDEX log_chunks_by_blob ON log_chunks (blob) WHERE blob <> '';
CREATE INDEX logs_left ON logs (job) WHERE complete AND inline > 262144;
`,
}}

// New makes the tables where they are missing. Close ends what is done beside transactions.
func New(ctx context.Context, o Options) (*Store, error) {
	if o.DB == nil || o.Blobs == nil {
		return nil, errors.New("keep logs: a database and a bucket are required")
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Tidy == 0 {
		o.Tidy = time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.DB.Migrate(ctx, "logs", migrations); err != nil {
		return nil, err
	}
	s := &Store{o: o, isDue: map[string]struct{}{}, keep: keepSize, move: blobSize}
	if err := s.codec.open(); err != nil {
		return nil, fmt.Errorf("keep logs: %w", err)
	}
	s.cache.limit = cacheSize
	s.hub.db, s.hub.every = o.DB, o.Poll
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if o.Tidy > 0 {
		s.beside.Go(s.tidyOften)
	}
	return s, nil
}

// Close stops what is done beside transactions, and waits for it. Nothing that was appended is lost by it; what is left to do is done
// after a later append to the same log, or by Tidy.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.beside.Wait()
	s.hub.wait()
	s.codec.close()
	return nil
}

// Info is what is known of a log.
type Info struct {
	Lines int64
	// Bytes of the text, with a line end for each line.
	Bytes int64
	// Complete: there will be no more lines.
	Complete bool
}

// Info returns what is known of a log. One that nothing was appended to is empty.
func (s *Store) Info(ctx context.Context, job string) (Info, error) {
	st, err := s.state(ctx, job)
	if err != nil {
		return Info{}, err
	}
	return Info{Lines: st.Lines, Bytes: st.Bytes, Complete: st.Complete}, nil
}

func (s *Store) state(ctx context.Context, job string) (*state, error) {
	var all []state
	if err := s.o.DB.NewSelect().Model(&all).Where("job = ?", job).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the log of the job %s: %w", job, err)
	}
	if len(all) == 0 {
		return &state{Job: job}, nil
	}
	return &all[0], nil
}
