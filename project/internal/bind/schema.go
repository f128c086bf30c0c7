package bind

import (
	"encoding/json"
	"fmt"
)

// Schemas are the definitions that a schema refers to.
type Schemas struct{ defs map[string]any }

// schema describes the object. It is the same for each use of a definition.
func (o Object) schema(s *Schemas) map[string]any {
	if o.Def == "" {
		return o.inline(s)
	}
	if _, ok := s.defs[o.Def]; !ok {
		s.defs[o.Def] = nil // no object contains itself, so nobody reads this
		s.defs[o.Def] = o.inline(s)
	}
	return map[string]any{"$ref": "#/definitions/" + o.Def}
}

func (o Object) inline(s *Schemas) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, m := range o.Members {
		p := m.Value.schema(s)
		described := map[string]any{}
		for k, v := range p {
			described[k] = v
		}
		described["description"] = m.Doc
		if d := m.Value.Initial(); d != nil {
			described["default"] = d
		}
		properties[m.Key] = described
		if m.Required {
			required = append(required, m.Key)
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if o.Extensions {
		out["patternProperties"] = map[string]any{"^x-": true}
	}
	if required != nil {
		out["required"] = required
	}
	var all []any
	for _, c := range o.Choices {
		all = append(all, c.schema())
	}
	if all != nil {
		out["allOf"] = all
	}
	return out
}

func (c Choice) schema() map[string]any {
	var one []any
	for _, set := range c.sets() {
		var of []any
		for _, k := range set {
			of = append(of, map[string]any{"required": []any{k}})
		}
		if len(of) == 1 {
			one = append(one, of[0])
		} else {
			one = append(one, map[string]any{"anyOf": of})
		}
	}
	if !c.Need {
		// None of them is as good as one.
		one = append(one, map[string]any{"not": map[string]any{"anyOf": append([]any(nil), one...)}})
	}
	return map[string]any{"oneOf": one}
}

// Schema writes a JSON schema (draft 07, which all editors know) of files whose document is an object.
func Schema(o Object, id, title string) []byte {
	s := &Schemas{defs: map[string]any{}}
	root := o.inline(s)
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["$id"], root["title"] = id, title
	if len(s.defs) > 0 {
		root["definitions"] = s.defs
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("bind: a schema that is no JSON: %v", err)) // a value with an impossible default
	}
	return append(out, '\n')
}
