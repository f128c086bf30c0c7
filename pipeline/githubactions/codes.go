package githubactions

// The codes of this package's diagnostics. They are stable: SARIF reports and suppressions carry them. The table in
// docs/diagnostics.md is made from codeTable.
const (
	codeFileSize     = "file-size"
	codeEncoding     = "encoding"
	codeEmpty        = "empty-file"
	codeYAML         = "yaml-syntax"
	codeDocuments    = "several-documents"
	codeDepth        = "nesting-depth"
	codeNodes        = "node-limit"
	codeAlias        = "recursive-alias"
	codeTag          = "unknown-tag"
	codeScalar       = "invalid-scalar"
	codeKey          = "invalid-key"
	codeMerge        = "merge-key"
	codeDuplicateKey = "duplicate-key"

	codeUnknownKey = "unknown-key"
	codeType       = "unexpected-type"
	codeValue      = "unexpected-value"
	codeMissingKey = "missing-key"
	codeNoExpr     = "expression-not-allowed"
	codeExpr       = "expression"
	codeInsert     = "insert-not-allowed"

	codeCron        = "cron"
	codeTimeZone    = "timezone"
	codePattern     = "filter-pattern"
	codeInput       = "input-definition"
	codeID          = "invalid-id"
	codeDuplicateID = "duplicate-id"
	codeNeeds       = "unknown-need"
	codeCycle       = "needs-cycle"
	codeNoStart     = "no-start-job"
	codeUses        = "uses-syntax"
	codeMatrix      = "matrix"
	codeImage       = "container-image"
	codeGroup       = "runner-group"
	codeWaitTarget  = "unknown-step"
	codeAction      = "action-definition"

	codeCall        = "called-workflow"
	codeCallInput   = "call-input"
	codeCallSecret  = "call-secret"
	codePermissions = "call-permissions"
	codeCallDepth   = "call-depth"
	codeJobLimit    = "job-limit"

	codeCronOften        = "cron-too-often"
	codeScheduleEmpty    = "schedule-without-cron"
	codeExclusiveFilters = "exclusive-filters"
	codeConstantIf       = "constant-condition"
	codeUnknownProperty  = "unknown-property"
	codeMatrixDuplicate  = "matrix-duplicate"
	codeMatrixExclude    = "matrix-exclude"
	codeDeprecated       = "deprecated-command"
	codeEnvName          = "env-name"
	codeCompare          = "incomparable-types"
	codeTemplateType     = "template-type"
	codeSnapshot         = "snapshot"
)

// codeInfo documents a code.
type codeInfo struct {
	code string
	// severity is "error", "warning", or both.
	severity string
	meaning  string
}

// codeTable documents all codes, in the order of the documentation.
var codeTable = []codeInfo{
	{codeFileSize, "error", "the file is larger than the limit (1 MiB by default)"},
	{codeEncoding, "error", "the file is not UTF-8 text"},
	{codeEmpty, "error", "the file has no content"},
	{codeYAML, "error", "the file is not valid YAML"},
	{codeDocuments, "error", "the file has more than one YAML document"},
	{codeDepth, "error", "the file nests deeper than 100 levels"},
	{codeNodes, "error", "the file has more than 500,000 nodes once its aliases are expanded"},
	{codeAlias, "error", "an alias stands within what its anchor names"},
	{codeTag, "error", "a tag other than !!str, !!int, !!float, !!bool and !!null"},
	{codeScalar, "error", "a scalar does not fit its tag, such as `!!bool test`"},
	{codeKey, "error", "the key of a mapping is not text"},
	{codeMerge, "error", "a merge key (`<<`), which the workflow syntax does not have"},
	{codeDuplicateKey, "error", "a key stands twice in a mapping; keys are compared without case"},

	{codeUnknownKey, "error, warning", "a key that the place does not have; a warning where the vendor ignores it"},
	{codeType, "error", "a mapping or a sequence where something else belongs"},
	{codeValue, "error", "a scalar that the place does not allow"},
	{codeMissingKey, "error", "a required key is missing"},
	{codeNoExpr, "error", "an expression where none is allowed"},
	{codeExpr, "error", "a fault of an expression: its syntax, an unknown function, or a context that is not available at the place"},
	{codeInsert, "error", "`${{ insert }}` anywhere but as a key"},

	{codeCron, "error, warning", "a cron line that is not valid, or that never comes due"},
	{codeTimeZone, "warning", "a time zone that is not known"},
	{codePattern, "error", "a pattern of a branch, tag or path filter that is not valid"},
	{codeInput, "error, warning", "an input whose type, default and options do not fit each other"},
	{codeID, "error", "the ID of a job or step is not valid, or is reserved"},
	{codeDuplicateID, "error", "two steps of a job have the same ID"},
	{codeNeeds, "error", "a job needs a job that does not exist"},
	{codeCycle, "error", "jobs need each other"},
	{codeNoStart, "error", "every job needs another one"},
	{codeUses, "error", "a reference to an action or a workflow that is not valid"},
	{codeMatrix, "error", "a matrix that yields no legs, too many, or none that make sense"},
	{codeImage, "error", "a container or service without an image"},
	{codeGroup, "error", "the name of a runner group is not valid"},
	{codeWaitTarget, "error", "`wait` or `cancel` of something that is no background step above"},
	{codeAction, "error, warning", "the definition of an action does not make sense"},

	{codeCall, "error, warning", "a called workflow cannot be read or cannot be called; a warning where the file is checked on its own"},
	{codeCallInput, "error", "a called workflow is not given the inputs it declares"},
	{codeCallSecret, "error", "a called workflow is not given the secrets it declares"},
	{codePermissions, "error", "a called workflow asks for permissions that its caller does not have"},
	{codeCallDepth, "error", "workflows call each other too deeply or in a circle"},
	{codeJobLimit, "error", "the workflow has too many jobs"},

	{codeCronOften, "warning", "a schedule comes due more than once in five minutes"},
	{codeScheduleEmpty, "warning", "`schedule` without a cron line"},
	{codeExclusiveFilters, "warning", "a filter together with its -ignore form"},
	{codeConstantIf, "warning", "a condition that is always true because text stands around its `${{ }}`"},
	{codeUnknownProperty, "warning", "an expression reads something that is not declared: an input, a secret, a matrix key, an output, a step, a job"},
	{codeMatrixDuplicate, "warning", "a value stands twice in a vector of a matrix"},
	{codeMatrixExclude, "warning", "an entry of exclude matches nothing; with an unknown key, the job will fail"},
	{codeDeprecated, "warning", "a script uses a workflow command that the vendor has retired"},
	{codeEnvName, "warning", "the name of an environment variable has characters that shells do not take"},
	{codeCompare, "warning", "a comparison of types that are never equal"},
	{codeTemplateType, "warning", "a list or mapping where text is made of it"},
	{codeSnapshot, "warning", "a snapshot of the runner cannot be made here"},
}
