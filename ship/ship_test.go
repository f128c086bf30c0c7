package ship

import (
	"testing"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

const shop = `
services:
  ledger:
    command: [./ledger]
    strategy: {blue-green: {}, keep-warm: 0s}
  web:
    command: [./web]
    needs: [ledger]
    ports: {http: ":8080"}
    strategy: {blue-green: {}, keep-warm: 0s}
environments:
  - name: staging
    targets: [{agents: [staging]}]
  - name: production
    regions: [east, [west, north]]
    targets:
      - {region: east, agents: [east]}
      - {region: west, agents: [west]}
      - {region: north, agents: [north]}
`

// TestShip brings two services through two environments, and the second time only what has changed.
func TestShip(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		r.forge.commit(t, "one", shop, map[string]string{"ledger": "1", "web": "1"})
		first := r.settled(r.start("one").ID)
		if first.Status != Succeeded {
			t.Fatalf("it is %+v", first)
		}
		r.forge.commit(t, "two", shop, map[string]string{"ledger": "1", "web": "2"})
		second := r.settled(r.start("two").ID)
		if second.Status != Succeeded || second.Number != 2 {
			t.Fatalf("it is %+v", second)
		}
		for _, e := range second.Environments {
			if got := e.Service("ledger"); got.Status != Unchanged || got.Rollout != 0 || got.Version != got.OldVersion {
				t.Errorf("the ledger in %s is %+v", e.Name, got)
			}
			if got := e.Service("web"); got.Status != Succeeded || got.OldVersion != first.Environment(e.Name).Service("web").Version {
				t.Errorf("web in %s is %+v", e.Name, got)
			}
			if got := r.hosts.has(t, place("web", e.Name)); got.Artifact != artifact(t, second, "web") {
				t.Errorf("%s has %v", e.Name, got)
			}
		}
	})
}
