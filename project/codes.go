package project

import (
	"slices"

	"github.com/gantry-ops/gantry/project/ics"
	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/openslo"
)

// Codes of the findings about what the parts of a file mean to each other, stable as in docs/diagnostics.md, which is made from codeTable. Those
// about its form are package bind's.
const (
	codeUnknownName = "unknown-name"
	codeDuplicate   = "duplicate-name"
	codeCycle       = "needs-cycle"
	codeTooMany     = "too-many"
	codePort        = "port-setting"
	codeListen      = "port-conflict"
	codeVariable    = "variable-conflict"
	codeStrategy    = "strategy"
	codeWeights     = "weights"
	codeBaseline    = "baseline"
	codeContract    = "contract-step"
	codeTarget      = "no-target"
	codeQuery       = "query"
	codeFreeze      = "freeze"
	codeFile        = "referenced-file"
)

// codeTable documents all codes, in the order of docs/diagnostics.md: each with its severities and what it means.
var codeTable = slices.Concat([][3]string{
	{bind.CodeFileSize, "error", "the file is larger than 1 MiB, a calendar than 4 MiB"},
	{bind.CodeEncoding, "error", "the file is not UTF-8 text"},
	{bind.CodeEmpty, "error", "the file has no content"},
	{bind.CodeYAML, "error", "the file is not valid YAML"},
	{bind.CodeDocuments, "error", "the file has more than one YAML document"},
	{bind.CodeDepth, "error", "the file nests deeper than 50 levels"},
	{bind.CodeNodes, "error", "the file has more than 100,000 nodes once its aliases are expanded"},
	{bind.CodeAlias, "error", "an alias stands within what its anchor names"},
	{bind.CodeTag, "error", "a tag other than those of YAML's core types"},
	{bind.CodeScalar, "error", "a scalar does not fit its tag"},
	{bind.CodeKey, "error", "the key of a mapping is not text"},
	{bind.CodeMerge, "error", "a merge key (`<<`) of something that is no mapping"},
	{bind.CodeDuplicateKey, "error", "a key stands twice in a mapping"},

	{bind.CodeUnknownKey, "error", "a key that the place does not have"},
	{bind.CodeType, "error", "a value of another kind than belongs there"},
	{bind.CodeValue, "error", "a value that the place does not allow"},
	{bind.CodeMissingKey, "error", "a required key is missing"},
	{bind.CodeExclusive, "error", "keys that cannot stand beside each other"},
	{bind.CodeRange, "error", "a value of the right form that is too small, too large, or means nothing"},

	{codeUnknownName, "error", "a service, region, port or SLO that there is not"},
	{codeDuplicate, "error", "two environments, regions, migrations or SLOs of one name"},
	{codeCycle, "error", "services need each other in a circle"},
	{codeTooMany, "error", "more than 500 services, or more than 2,000 in regions of environments"},
	{codePort, "error", "a port, health check or metrics that do not fit each other"},
	{codeListen, "error", "two listen on one address of an agent, and hosts and paths do not tell them apart"},
	{codeVariable, "error", "an environment variable that several things set"},
	{codeStrategy, "error, warning", "a strategy that the service cannot be released by"},
	{codeWeights, "error", "steps whose weights do not grow, or whose ends make no sense"},
	{codeBaseline, "note", "a weight that leaves no room for a baseline of equal weight"},
	{codeContract, "note", "a contract step, over which no rollback goes back"},
	{codeTarget, "error", "a service that no target of an environment is for"},
	{codeQuery, "error", "a PromQL query that is not valid, or that cannot tell versions apart"},
	{codeFreeze, "error", "a freeze that says no time, or half of one"},
	{codeFile, "error", "a file that gantry.yaml names and that cannot be read"},
}, openslo.Codes, ics.Codes)
