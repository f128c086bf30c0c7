package process

import "testing"

func TestWell(t *testing.T) {
	passed, failed := []Result{{OK: false}, {OK: true}}, []Result{{OK: true}, {OK: false}}
	for _, c := range []struct {
		name   string
		status Status
		want   bool
	}{
		{"healthy", Status{State: Healthy, Health: failed}, true},
		{"new", Status{State: Starting}, false},
		{"new, and passes its first check", Status{State: Starting, Health: passed}, false},
		{"left healthy, and not looked at yet", Status{State: Starting, Adopted: true, WasHealthy: true}, true},
		{"left healthy, and passes", Status{State: Starting, Adopted: true, WasHealthy: true, Health: passed}, true},
		{"left healthy, and fails", Status{State: Starting, Adopted: true, WasHealthy: true, Health: failed}, false},
		{"left ill", Status{State: Starting, Adopted: true}, false},
		{"unhealthy", Status{State: Unhealthy, Adopted: true, WasHealthy: true}, false},
		{"stopping", Status{State: Stopping, Adopted: true, WasHealthy: true}, false},
	} {
		if got := c.status.Well(); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
