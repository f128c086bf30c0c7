package githubactions

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// pullRequestBranch returns a branch where the event is about a pull request; the vendor leaves it empty otherwise.
func pullRequestBranch(r *pipeline.Run, branch string) string {
	if strings.HasPrefix(r.Event.Name, "pull_request") {
		return branch
	}
	return ""
}

// refParts returns the short name of a ref and whether it is a branch or a tag; a pull request counts as a branch.
func refParts(c pipeline.Change) (name, kind string) {
	for prefix, kind := range map[string]string{"refs/heads/": "branch", "refs/tags/": "tag", "refs/pull/": "branch"} {
		if rest, ok := strings.CutPrefix(c.Ref, prefix); ok {
			return rest, kind
		}
	}
	return c.Ref, "branch"
}

// forgeURLs returns the addresses of a forge; without one those of github.com, as actions expect some.
func forgeURLs(server string) (base, api, graphql string) {
	if server == "" || server == "https://github.com" {
		return "https://github.com", "https://api.github.com", "https://api.github.com/graphql"
	}
	return server, server + "/api/v3", server + "/api/graphql"
}

// identifier makes a stable number of a name, where the forge would have one of its own. The same name always gets the same.
func identifier(name string) string {
	if name == "" {
		return ""
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return strconv.FormatUint(uint64(h.Sum32()), 10)
}
