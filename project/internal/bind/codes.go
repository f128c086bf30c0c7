package bind

// Codes of the findings that are about the form of a file, and that a JSON schema would report as well.
const (
	CodeUnknownKey = "unknown-key"
	CodeType       = "unexpected-type"
	CodeValue      = "unexpected-value"
	CodeMissingKey = "missing-key"
	CodeExclusive  = "exclusive-keys"
)

// Codes of the findings about the text of a file: it is no YAML that can be read.
const (
	CodeFileSize     = "file-size"
	CodeEncoding     = "encoding"
	CodeEmpty        = "empty-file"
	CodeYAML         = "yaml-syntax"
	CodeDocuments    = "several-documents"
	CodeDepth        = "nesting-depth"
	CodeNodes        = "node-limit"
	CodeAlias        = "recursive-alias"
	CodeTag          = "unknown-tag"
	CodeScalar       = "invalid-scalar"
	CodeKey          = "invalid-key"
	CodeMerge        = "merge-key"
	CodeDuplicateKey = "duplicate-key"
)

// CodeRange is a value of the right form that is too small, too large, or means nothing. No schema can tell.
const CodeRange = "out-of-range"
