package ship

import (
	"context"
	"fmt"
	"strconv"

	"github.com/gantry-ops/gantry/store"
)

// Origin is where a candidate came from.
type Origin struct {
	// Release is the first that brought it, Commit what that was made of, At when it began.
	Release string
	Commit  string
	At      store.Time
}

// Origin finds the first release of a project by which a service's artifact, named by its digest, came; false where there is none.
func (s *Service) Origin(ctx context.Context, project, service, artifact string) (Origin, bool, error) {
	var ids []int64
	err := s.o.DB.NewSelect().Table("candidate_uses").Column("release").Where("project = ? AND service = ? AND digest = ?", project, service, artifact).
		Order("release").Limit(1).Scan(ctx, &ids)
	if err != nil {
		return Origin{}, false, fmt.Errorf("look where %s came from: %w", artifact, err)
	}
	if len(ids) == 0 {
		return Origin{}, false, nil
	}
	r, err := s.read(ctx, s.o.DB, ids[0])
	if err != nil {
		return Origin{}, false, err
	}
	return Origin{Release: strconv.FormatInt(r.id, 10), Commit: r.Release.Commit, At: r.Release.CreatedAt}, true, nil
}
