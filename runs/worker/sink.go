package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// flushAfter is for how long what happens is gathered before it is sent.
const flushAfter = 200 * time.Millisecond

// report takes what happens in a job and sends it in batches. It implements [runner.Sink].
type report struct {
	queue jobs.Queue
	ref   jobs.TaskRef
	log   *slog.Logger
	// lost is called once, when the job is not this worker's any more.
	lost func(error)

	mu sync.Mutex
	// room is signalled when there is some again, or nothing is wanted any more.
	room *sync.Cond
	// items are gathered for the next batch; since is when the first came.
	items []jobs.Item
	bytes int
	seq   int64
	box   outbox
	// down: the last attempt to send has failed.
	down bool
	// over: nothing is sent any more, and what comes is dropped.
	over bool
	// ending: no more comes.
	ending bool

	// wake has a value when there is something to do for the sender.
	wake chan struct{}
	sent chan struct{} // closed when the sender has ended
}

var _ runner.Sink = (*report)(nil)

func newReport(q jobs.Queue, ref jobs.TaskRef, dir string, log *slog.Logger, lost func(error)) *report {
	r := &report{queue: q, ref: ref, log: log, lost: lost, box: outbox{dir: dir}, wake: make(chan struct{}, 1), sent: make(chan struct{})}
	r.room = sync.NewCond(&r.mu)
	return r
}

// Emit implements [runner.Sink].
func (r *report) Emit(e runner.Event) {
	if e.Type == runner.Log {
		l := jobs.LogLine{Step: e.Number, Group: e.Group, Notice: e.Notice, Text: strings.ToValidUTF8(e.Line, "\uFFFD")}
		l.Time.Time = e.Time.UTC().Truncate(time.Microsecond)
		r.lines([]jobs.LogLine{l}, len(l.Text))
		return
	}
	size := len(e.Reason) + len(e.Summary) + 256
	if e.Annotation != nil {
		size += len(e.Annotation.Message) + 64
	}
	for k, v := range e.Outputs {
		size += len(k) + len(v)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.await()
	r.items = append(r.items, jobs.Item{Event: &e})
	r.grown(size)
}

// Lines implements [runner.Sink].
func (r *report) Lines(head *runner.Event, text []byte) {
	for len(text) > 0 {
		// A large piece fills several batches.
		part := text
		if len(part) > batchSize {
			if i := bytes.LastIndexByte(part[:batchSize], '\n'); i >= 0 {
				part = part[:i+1]
			} else if i := bytes.IndexByte(part, '\n'); i >= 0 {
				part = part[:i+1]
			}
		}
		text = text[len(part):]
		// One text for all lines of the part, and one slice: a log of a million lines must not become a million pieces.
		whole := strings.ToValidUTF8(string(part), "\uFFFD")
		lines := make([]jobs.LogLine, 0, strings.Count(whole, "\n")+1)
		for line := range strings.Lines(whole) {
			l := jobs.LogLine{Step: head.Number, Group: head.Group, Notice: head.Notice, Text: strings.TrimSuffix(line, "\n")}
			l.Time.Time = head.Time.UTC().Truncate(time.Microsecond)
			lines = append(lines, l)
		}
		r.lines(lines, len(whole))
	}
}

// lineCost is what a line takes beside its text.
const lineCost = 48

func (r *report) lines(lines []jobs.LogLine, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.await()
	if n := len(r.items); n > 0 && r.items[n-1].Event == nil {
		r.items[n-1].Lines = append(r.items[n-1].Lines, lines...)
	} else {
		r.items = append(r.items, jobs.Item{Lines: lines})
	}
	r.grown(bytes + lineCost*len(lines))
}

// await blocks while there is no room: where the queue is slow as soon as memory is full, so that the job is slowed down with it; where it
// is away when the file is full too.
func (r *report) await() {
	for !r.over && (r.box.full() && !r.down || r.box.stuffed()) {
		r.room.Wait()
	}
}

// grown makes a batch of what was gathered when that is enough for one. The lock must be held.
func (r *report) grown(bytes int) {
	if r.over {
		r.items, r.bytes = nil, 0
		return
	}
	if r.bytes += bytes; r.bytes >= batchSize {
		r.seal()
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// seal makes a batch of what was gathered.
func (r *report) seal() {
	if len(r.items) == 0 {
		return
	}
	r.seq++
	err := r.box.push(jobs.Batch{Seq: r.seq, Items: r.items}, r.bytes)
	if err != nil {
		r.log.Error("what a job says cannot be kept", "job", r.ref.Job, "error", err)
	}
	if errors.Is(err, errOrder) {
		r.seq-- // the numbers must have no gap
	}
	r.items, r.bytes = nil, 0
}

// next returns the batch that is to be sent; nil where there is none. gather: what was gathered may become one.
func (r *report) next(gather bool) (b *jobs.Batch, ending bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil, true
	}
	if r.box.empty() && (gather || r.ending) {
		r.seal()
	}
	b, err := r.box.first()
	if err != nil {
		// What was kept on disk is gone. The log cannot be whole any more, and a gap in the numbers is refused.
		r.log.Error("what a job has said is lost", "job", r.ref.Job, "error", err)
		r.drop()
		go r.lost(err)
		return nil, true
	}
	return b, r.ending && b == nil
}

// drop ends the report; what was not sent is thrown away. The lock must be held.
func (r *report) drop() {
	r.over = true
	r.items = nil
	r.box.close()
	r.room.Broadcast()
}

// send sends until the report has ended and all of it is sent, or ctx ends, or the job is lost.
func (r *report) send(ctx context.Context) {
	defer close(r.sent)
	for {
		b, ending := r.next(false)
		if ending {
			return
		}
		if b == nil {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			}
			// More may come soon.
			t := time.NewTimer(flushAfter)
			for waiting := true; waiting; {
				r.mu.Lock()
				waiting = !r.ending && !r.over && r.box.empty()
				r.mu.Unlock()
				if !waiting {
					break
				}
				select {
				case <-ctx.Done():
					t.Stop()
					return
				case <-t.C:
					waiting = false
				case <-r.wake:
				}
			}
			t.Stop()
			if b, ending = r.next(true); ending {
				return
			}
			if b == nil {
				continue
			}
		}
		err := persist(ctx, r.log, r.ref, "report", r.set, func(ctx context.Context) error { return r.queue.Report(ctx, r.ref, *b) })
		if err != nil {
			r.mu.Lock()
			r.drop()
			r.mu.Unlock()
			if ctx.Err() == nil {
				r.lost(err)
			}
			return
		}
		r.mu.Lock()
		if !r.over {
			r.box.pop()
		}
		r.room.Broadcast()
		r.mu.Unlock()
	}
}

// set notes whether the queue can be reached.
func (r *report) set(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
	r.room.Broadcast()
}

// end says that no more comes.
func (r *report) end() {
	r.mu.Lock()
	r.ending = true
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// abandon drops what was not sent.
func (r *report) abandon() {
	r.mu.Lock()
	r.drop()
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// last is the number of the last batch.
func (r *report) last() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}
