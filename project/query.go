package project

import (
	"strconv"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// variableInQuery are those that queries may have.
var variableInQuery = lazy.New(`\$(service|version|environment|region)\b`)

// ExpandQuery puts names into a query of an analysis or an SLO: for $service, $version, $environment and $region. The names are written so that
// they can stand within a quoted text of PromQL.
func ExpandQuery(query, service, version, environment, region string) string {
	values := map[string]string{"$service": service, "$version": version, "$environment": environment, "$region": region}
	return variableInQuery.ReplaceAllStringFunc(query, func(v string) string {
		quoted := strconv.Quote(values[v])
		return quoted[1 : len(quoted)-1]
	})
}
