package agent

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/agent/route"
)

// table makes the routing table for what is desired and what runs, and says which share of each service's traffic each version has in it.
func table(d Desired, running []process.Status) (route.Table, map[string]map[string]int) {
	t := route.Table{Listeners: d.Listeners}
	shares := map[string]map[string]int{}
	wanted := map[string]bool{}
	for _, i := range d.Instances {
		wanted[i.Spec.ID] = true
	}
	for _, s := range d.Services {
		done := s.Service
		done.Arms = nil
		healthy := arms(s, running, wanted, process.Status.Well)
		if len(healthy) == 0 {
			// A check may be wrong for all of them; nobody is served by sending nobody there.
			healthy = arms(s, running, wanted, func(st process.Status) bool { return st.State == process.Unhealthy })
		}
		// The first arm has what the others leave: where it has no instance, the next version stands in for it.
		rest := route.Whole
		for _, a := range s.Arms {
			if list := healthy[a.Version]; len(list) > 0 {
				done.Arms = append(done.Arms, route.Arm{Version: a.Version, Weight: a.Weight, Endpoints: list})
			}
		}
		share := map[string]int{}
		for n := range done.Arms {
			if n == 0 {
				done.Arms[n].Weight = 0
				continue
			}
			share[done.Arms[n].Version] = done.Arms[n].Weight
			rest -= done.Arms[n].Weight
		}
		if len(done.Arms) > 0 {
			share[done.Arms[0].Version] = rest
		}
		// Rules may name versions that have no instance: they lead to the first, as weights do.
		for _, a := range s.Arms {
			if len(healthy[a.Version]) == 0 {
				done.Arms = append(done.Arms, route.Arm{Version: a.Version})
			}
		}
		shares[s.Name] = share
		t.Services = append(t.Services, done)
	}
	return t, shares
}

// arms are the endpoints of a service's versions, of instances that are wanted and as ok wants them.
func arms(s Service, running []process.Status, wanted map[string]bool, ok func(process.Status) bool) map[string][]route.Endpoint {
	all := map[string][]route.Endpoint{}
	for _, st := range running {
		port := st.Ports[s.Port]
		if st.Labels[LabelService] != cmp.Or(s.Of, s.Name) || !wanted[st.ID] || port == 0 || !ok(st) {
			continue
		}
		v := st.Labels[LabelVersion]
		all[v] = append(all[v], route.Endpoint{ID: endpointID(st.ID, s.Port, port), Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
	}
	return all
}

// endpointID names an instance's port in the table. A restart that changes the port makes another endpoint.
func endpointID(instance, name string, port int) string {
	return fmt.Sprintf("%s/%s:%d", instance, name, port)
}

// endpoints are those of a table, by ID.
func endpoints(t route.Table) map[string]bool {
	all := map[string]bool{}
	for _, s := range t.Services {
		for _, a := range s.Arms {
			for _, e := range a.Endpoints {
				all[e.ID] = true
			}
		}
	}
	return all
}

// missing are the endpoints of one table that another has no more.
func missing(before, after map[string]bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(before)), func(id string) bool { return after[id] })
}
