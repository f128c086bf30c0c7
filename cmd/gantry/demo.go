package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gantry-ops/gantry/runs"
)

// The project of --demo, and where it is in a working tree of gantry.
const demoProject = "meridian-gateway"

var demoFolder = filepath.Join("examples", "meridian", "services", "gateway")

// findDemo looks for the example from the current folder upwards.
func findDemo() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := at; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, demoFolder, ".github", "workflows")) {
			return filepath.Join(dir, demoFolder), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("there is no %s in %s or above it: start gantry from a working tree of its own repository, or without --demo", demoFolder, at)
		}
	}
}

// demo adds the example as a project where it is not there yet, and runs its pipeline.
func (s *server) demo(ctx context.Context) error {
	dir, err := findDemo()
	if err != nil {
		return err
	}
	by := runs.By{Actor: "gantry", Name: "gantry"}
	if _, err := s.runs.Project(ctx, demoProject); errors.Is(err, runs.ErrNotFound) {
		_, err = s.runs.CreateProject(ctx, by, runs.Project{ID: demoProject, Name: "Meridian gateway", Source: runs.Source{URL: dir, Folder: true}})
		if err != nil && !errors.Is(err, runs.ErrConflict) {
			return err
		}
	} else if err != nil {
		return err
	}
	started, err := s.runs.Trigger(ctx, runs.Trigger{Project: demoProject, Event: "push", Actor: by.Actor, ActorName: by.Name})
	if err != nil {
		return err
	}
	for _, r := range started.Runs {
		s.log.Info("the demo runs", "run", r.ID, "pipeline", r.Pipeline)
	}
	for _, n := range started.NotStarted {
		s.log.Info("the demo does not start a pipeline", "file", n.File, "reason", n.Reason)
	}
	return nil
}
