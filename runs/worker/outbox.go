package worker

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gantry-ops/gantry/runs/jobs"
)

// Limits of what waits to be sent, in bytes.
const (
	// batchSize is when a batch is full.
	batchSize = 256 << 10
	// maxMemory is what is kept in memory, maxSpool in the file. Beyond, the job waits.
	maxMemory = 4 << 20
	maxSpool  = 1 << 30
)

// outbox is a queue of batches, the first in memory, those for which there is no room in a file. It is not safe for concurrent use.
type outbox struct {
	dir    string
	memory []sized
	bytes  int

	// file has the later batches; read and written are places in it.
	file          *os.File
	read, written int64
}

type sized struct {
	batch jobs.Batch
	bytes int
}

// full reports whether memory has no room.
func (o *outbox) full() bool { return o.bytes >= maxMemory || o.spooled() }

// spooled reports whether there are batches in the file; later ones go there too, for the order's sake.
func (o *outbox) spooled() bool { return o.file != nil && o.read < o.written }

// stuffed reports whether the file has no room either.
func (o *outbox) stuffed() bool { return o.full() && o.written-o.read >= maxSpool }

func (o *outbox) empty() bool { return len(o.memory) == 0 && !o.spooled() }

// push adds a batch. An error is the file's, and the batch is in memory then.
func (o *outbox) push(b jobs.Batch, bytes int) error {
	if o.full() {
		err := o.spool(b)
		if err == nil {
			return nil
		}
		if o.spooled() {
			// It must not overtake those in the file.
			return errors.Join(err, errOrder)
		}
		o.memory, o.bytes = append(o.memory, sized{b, bytes}), o.bytes+bytes
		return err
	}
	o.memory, o.bytes = append(o.memory, sized{b, bytes}), o.bytes+bytes
	return nil
}

var errOrder = errors.New("a part of the log is lost")

// first returns the oldest batch, which stays until it is popped.
func (o *outbox) first() (*jobs.Batch, error) {
	if len(o.memory) == 0 && o.spooled() {
		if err := o.load(); err != nil {
			return nil, err
		}
	}
	if len(o.memory) == 0 {
		return nil, nil
	}
	return &o.memory[0].batch, nil
}

func (o *outbox) pop() {
	o.bytes -= o.memory[0].bytes
	o.memory[0] = sized{}
	o.memory = o.memory[1:]
}

// spool writes a batch to the file: its length, then its JSON.
func (o *outbox) spool(b jobs.Batch) error {
	body, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("keep what cannot be sent: %w", err)
	}
	if o.file == nil {
		f, err := os.CreateTemp(o.dir, "gantry-spool-")
		if err != nil {
			return fmt.Errorf("keep what cannot be sent: %w", err)
		}
		o.file = f
	}
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	if _, err := o.file.WriteAt(frame, o.written); err != nil {
		return fmt.Errorf("keep what cannot be sent: %w", err)
	}
	o.written += int64(len(frame))
	return nil
}

// load brings batches from the file into memory.
func (o *outbox) load() error {
	r := bufio.NewReader(io.NewSectionReader(o.file, o.read, o.written-o.read))
	for o.read < o.written && o.bytes < maxMemory/2 {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("read what was kept: %w", err)
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(r, body); err != nil {
			return fmt.Errorf("read what was kept: %w", err)
		}
		var b jobs.Batch
		if err := json.Unmarshal(body, &b); err != nil {
			return fmt.Errorf("read what was kept: %w", err)
		}
		o.memory, o.bytes = append(o.memory, sized{b, len(body)}), o.bytes+len(body)
		o.read += int64(len(head) + len(body))
	}
	if o.read == o.written {
		o.read, o.written = 0, 0
		return o.file.Truncate(0)
	}
	return nil
}

// close removes the file.
func (o *outbox) close() {
	if o.file != nil {
		o.file.Close()
		os.Remove(o.file.Name())
		o.file = nil
	}
	o.memory = nil
}
