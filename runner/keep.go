package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/gantry-ops/gantry/pipeline"
)

// restoreCaches and keep serve the model's own caches and artifacts.
func (j *job) restoreCaches(ctx context.Context) error {
	for _, c := range j.leg.job.Caches {
		if j.Keeper == nil {
			return errors.New("this run keeps no caches")
		}
		key, restore, paths, err := evalCache(c, j.leg.scope)
		if err != nil {
			return err
		}
		hit, err := j.Keeper.RestoreCache(ctx, j.ws, key, restore, paths)
		if err != nil {
			return fmt.Errorf("restore cache %q: %w", key, err)
		}
		if hit == "" {
			j.Log(fmt.Sprintf("cache %q: not found", key))
		} else {
			j.Log(fmt.Sprintf("cache %q: restored from %q", key, hit))
		}
	}
	return nil
}

func evalCache(c pipeline.Cache, s *pipeline.Scope) (key string, restore, paths []string, err error) {
	if key, err = c.Key.Text(s); err != nil {
		return
	}
	if restore, err = c.RestoreKeys.List(s); err != nil {
		return
	}
	paths, err = c.Paths.List(s)
	return
}

func (j *job) keep(status pipeline.Status) error {
	if len(j.leg.job.Caches)+len(j.leg.job.Artifacts) == 0 {
		return nil
	}
	if j.Keeper == nil {
		return errors.New("this run keeps no artifacts")
	}
	ctx, done := j.stepContext()
	defer done()
	for _, a := range j.leg.job.Artifacts {
		name, err := a.Name.Text(j.leg.scope)
		if err != nil {
			return err
		}
		paths, err := a.Paths.List(j.leg.scope)
		if err != nil {
			return err
		}
		if err := j.Keeper.SaveArtifact(ctx, j.ws, name, paths); err != nil {
			return fmt.Errorf("store artifact %q: %w", name, err)
		}
		j.AddArtifact(name)
	}
	if status != pipeline.Success {
		return nil
	}
	for _, c := range j.leg.job.Caches {
		key, _, paths, err := evalCache(c, j.leg.scope)
		if err != nil {
			return err
		}
		if err := j.Keeper.SaveCache(ctx, j.ws, key, paths); err != nil {
			return fmt.Errorf("save cache %q: %w", key, err)
		}
	}
	return nil
}
