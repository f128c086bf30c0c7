package project

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Config is the configuration document of a service in an environment: everything that the file says about how it runs there, in all regions. It is
// kept by its digest and never changed, so that a rollback runs what ran before, whatever gantry.yaml has become. When something is released is not in
// it: gates, freezes and their calendars belong to the environment.
type Config struct {
	Project     string `json:"project"`
	Service     string `json:"service"`
	Environment string `json:"environment"`
	// Placements are the service's in all regions of the environment, in the order of its waves.
	Placements []*Placement `json:"placements"`
}

// Config returns the configuration document of a service; project is the project's name on the server. It has no placements where the service is not
// released in the environment.
func (e *Environment) Config(project, service string) Config {
	c := Config{Project: project, Service: service, Environment: e.Name}
	for _, p := range e.Placements {
		if p.Service.Name == service {
			c.Placements = append(c.Placements, p)
		}
	}
	return c
}

// JSON is the document as it is kept. The same configuration is the same text: members have the order of their types, and maps that of their keys.
func (c Config) JSON() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write the configuration of %s in %s: %w", c.Service, c.Environment, err)
	}
	return b, nil
}

// Digest is "sha256:" with the SHA-256 of the document in hexadecimal digits.
func (c Config) Digest() (string, error) {
	b, err := c.JSON()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Placement returns the service in a region, or nil.
func (c Config) Placement(region string) *Placement {
	for _, p := range c.Placements {
		if p.Region == region {
			return p
		}
	}
	return nil
}
