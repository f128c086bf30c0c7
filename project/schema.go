package project

import (
	_ "embed"

	"github.com/gantry-ops/gantry/project/internal/bind"
)

// SchemaURL is where editors find the schema.
const SchemaURL = "https://raw.githubusercontent.com/gantry-ops/gantry/main/project/schema.json"

//go:embed schema.json
var schema []byte

// Schema returns the JSON schema (draft 07) of gantry.yaml. It tells what [Parse] refuses for its form; what parts mean to each other, such as
// names, ports and weights that grow, no schema can tell.
func Schema() []byte { return schema }

// makeSchema writes it from what the file is read by.
func makeSchema() []byte {
	return bind.Schema(newDocument().object(), SchemaURL, "gantry.yaml: services, environments, strategies and gates of Gantry")
}
