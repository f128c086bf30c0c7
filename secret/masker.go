package secret

import (
	"sync"
	"sync/atomic"
)

// Mask is what stands in the place of a secret.
const Mask = "***"

// Masker replaces secrets in texts. It is safe for concurrent use: texts may be masked while secrets are added. A text is
// masked by the secrets that were added before the call.
type Masker struct {
	// index is what Mask reads; nil after an Add, until the next reader builds it: a job that adds a hundred secrets in a
	// row pays for one index.
	index atomic.Pointer[index]

	mu       sync.Mutex
	patterns map[string]struct{}
}

// NewMasker returns a masker that knows no secret.
func NewMasker() *Masker { return &Masker{patterns: map[string]struct{}{}} }

// Add hides a text and the forms that [Forms] lists from now on. Nothing is hidden for a text of white space alone.
func (m *Masker) Add(text string) {
	forms := Forms(text)
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.patterns)
	for _, f := range forms {
		m.patterns[f] = struct{}{}
	}
	if len(m.patterns) != before {
		m.index.Store(nil)
	}
}

// Longest returns the length in bytes of the longest text that is looked for, 0 where there is none. A secret that begins in
// the last Longest()-1 bytes of a chunk may end in the next one.
func (m *Masker) Longest() int { return m.current().longest }

// Mask appends src to dst with every secret replaced by three asterisks, and returns the extended slice. Where secrets overlap
// or touch, one mask stands for all of them, so that no rest of one is left beside the other. dst must not overlap src.
func (m *Masker) Mask(dst, src []byte) []byte {
	x := m.current()
	if len(x.groups) == 0 {
		return append(dst, src...)
	}
	copied := 0
	for s := x.scan(src); ; {
		start, end, ok := s.next()
		if !ok {
			return append(dst, src[copied:]...)
		}
		dst = append(dst, src[copied:start]...)
		dst = append(dst, Mask...)
		copied = end
	}
}

func (m *Masker) current() *index {
	if x := m.index.Load(); x != nil {
		return x
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if x := m.index.Load(); x != nil {
		return x
	}
	x := newIndex(m.patterns)
	m.index.Store(x)
	return x
}
