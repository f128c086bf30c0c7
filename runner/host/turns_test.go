package host

import (
	"slices"
	"testing"
	"testing/synctest"
)

func TestTurnsGoToTheMostUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := &turns{free: 1}
		done := turns.take(toOpen, 0)
		var order []string
		for _, w := range []struct {
			name          string
			urgency, rank int
		}{{"open", toOpen, 0}, {"open later", toOpen, 0}, {"open after two", toOpen, 2}, {"close", toClose, 0}, {"start", toStart, 0}, {"open after one", toOpen, 1}} {
			go func() {
				done := turns.take(w.urgency, w.rank)
				order = append(order, w.name)
				done()
			}()
			synctest.Wait() // it waits for its turn before the next one asks
		}
		done()
		synctest.Wait()
		if want := []string{"start", "close", "open after two", "open after one", "open", "open later"}; !slices.Equal(order, want) {
			t.Errorf("%v, want %v", order, want)
		}
		if turns.free != 1 {
			t.Errorf("%d turns free", turns.free)
		}
	})
}
