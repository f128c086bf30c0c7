package project

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
