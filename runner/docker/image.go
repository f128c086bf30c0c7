package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Pull says when an image is fetched.
type Pull string

// The values of [Pull].
const (
	PullMissing Pull = "missing"
	PullAlways  Pull = "always"
	PullNever   Pull = "never"
)

// ParsePull reads the name of a [Pull].
func ParsePull(s string) (Pull, error) {
	switch p := Pull(s); p {
	case PullMissing, PullAlways, PullNever:
		return p, nil
	}
	return "", fmt.Errorf("%q is none of missing, always, never", s)
}

// progressEvery is how often the progress of a pull is told.
const progressEvery = 5 * time.Second

// ensureImage returns an image's facts, after fetching it where that is asked for.
func (e *Engine) ensureImage(ctx context.Context, name string, c *createSpec, auth credentials, log func(string)) (image.InspectResponse, error) {
	when := c.pull
	if when == "" {
		when = e.o.Pull
	}
	unlock, err := e.pulls.lock(ctx, name)
	if err != nil {
		return image.InspectResponse{}, err
	}
	defer unlock()
	platform, err := parsePlatform(c.platform)
	if err != nil {
		return image.InspectResponse{}, err
	}
	if when != PullAlways {
		got, err := e.api.ImageInspect(ctx, name)
		switch {
		case err == nil && (platform == nil || platform.Architecture == got.Architecture):
			return got.InspectResponse, nil
		case err != nil && !errdefs.IsNotFound(err):
			return image.InspectResponse{}, fmt.Errorf("look for image %q: %w", name, err)
		case when == PullNever:
			return image.InspectResponse{}, fmt.Errorf("image %q is not here, and nothing may be pulled (hint: docker pull %s, or allow pulling)", name, name)
		}
	}
	if err := e.pull(ctx, name, platform, auth, log); err != nil {
		if ctx.Err() != nil {
			return image.InspectResponse{}, context.Cause(ctx)
		}
		return image.InspectResponse{}, fmt.Errorf("pull image %q: %w%s", name, err, pullHint(err))
	}
	got, err := e.api.ImageInspect(ctx, name)
	if err != nil {
		return image.InspectResponse{}, fmt.Errorf("look for image %q: %w", name, err)
	}
	return got.InspectResponse, nil
}

func pullHint(err error) string {
	text := err.Error()
	switch {
	case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err), strings.Contains(text, "denied"), strings.Contains(text, "unauthorized"):
		return " (hint: check the image's name; a private image needs credentials: or docker login)"
	case strings.Contains(text, "dial tcp"), strings.Contains(text, "lookup"), strings.Contains(text, "timeout"):
		return " (hint: the registry cannot be reached; build or load the image beforehand)"
	}
	return ""
}

// pull fetches an image and tells of it in a few lines, however many layers it has.
func (e *Engine) pull(ctx context.Context, name string, platform *ocispec.Platform, auth credentials, log func(string)) error {
	o := client.ImagePullOptions{}
	var err error
	if o.RegistryAuth, err = auth.encode(ctx, name); err != nil {
		return err
	}
	if platform != nil {
		o.Platforms = []ocispec.Platform{*platform}
	}
	log("Pulling image " + name)
	resp, err := e.api.ImagePull(ctx, name, o)
	if err != nil {
		return err
	}
	defer resp.Close()
	t := newPullTracker(time.Now())
	for m, err := range resp.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if m.Error != nil {
			return m.Error
		}
		if line := t.message(m, time.Now()); line != "" {
			log(line)
		}
	}
	return nil
}

// pullTracker adds up the progress of layers.
type pullTracker struct {
	told   time.Time
	layers map[string]*pullLayer
}

type pullLayer struct {
	done           bool
	current, total int64
}

func newPullTracker(now time.Time) *pullTracker {
	return &pullTracker{told: now, layers: map[string]*pullLayer{}}
}

// message takes a message of the engine and returns the line to show for it, mostly none.
func (t *pullTracker) message(m jsonstream.Message, now time.Time) string {
	if m.ID == "" || strings.HasPrefix(m.Status, "Pulling from") {
		if strings.HasPrefix(m.Status, "Digest:") || strings.HasPrefix(m.Status, "Status:") {
			return m.Status
		}
		return ""
	}
	l := t.layers[m.ID]
	if l == nil {
		l = &pullLayer{}
		t.layers[m.ID] = l
	}
	switch m.Status {
	case "Pull complete", "Already exists":
		l.done = true
	case "Downloading":
		if m.Progress != nil {
			l.current, l.total = m.Progress.Current, m.Progress.Total
		}
	case "Download complete", "Extracting":
		l.current = l.total
	}
	if now.Sub(t.told) < progressEvery {
		return ""
	}
	t.told = now
	var done int
	var current, total int64
	for _, l := range t.layers {
		if l.done {
			done++
		}
		current += l.current
		total += l.total
	}
	return fmt.Sprintf("%d of %d layers, %s of %s", done, len(t.layers), units.HumanSize(float64(current)), units.HumanSize(float64(total)))
}

// parsePlatform reads "linux/arm64/v8"; empty is nil.
func parsePlatform(s string) (*ocispec.Platform, error) {
	if s == "" {
		return nil, nil
	}
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return nil, fmt.Errorf("platform %q is not of the form os/architecture[/variant]", s)
	}
	p := &ocispec.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	if p.OS != "linux" {
		return nil, errors.New("only platforms of linux are supported")
	}
	return p, nil
}
