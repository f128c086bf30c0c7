package main

import "testing"

func TestScrapeAddress(t *testing.T) {
	for _, s := range []scraped{
		{agent: "eu-1"},
		{agent: "local", instance: "gateway-0a1b2c3d-1", port: "http"},
		{agent: "local", instance: "a.b.c", port: "metrics"},
	} {
		agent, instance, port, ok := readScrapeAddress(s.address())
		if !ok || agent != s.agent || instance != s.instance || port != s.port {
			t.Errorf("%s was read as %q, %q, %q, %v", s.address(), agent, instance, port, ok)
		}
	}
	for _, bad := range []string{"", "eu-1:80", "x.eu-1.agent:80", "eu-1.agent"} {
		if agent, instance, port, ok := readScrapeAddress(bad); ok {
			t.Errorf("%q was read as %q, %q, %q", bad, agent, instance, port)
		}
	}
}
