package action

import "testing"

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"actions/checkout@v4", "./x", ".\\x", "docker://a:b", "a/b/c/d@refs/heads/x", "@", "a/b@", "../../x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReference(text)
		if err != nil {
			return
		}
		kinds := 0
		for _, set := range []bool{r.image != "", r.local != "", r.remote()} {
			if set {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%q is of %d kinds: %+v", text, kinds, r)
		}
		r.modern(4)
	})
}

func FuzzVersions(f *testing.F) {
	for _, s := range []string{"1.22", "^1.2 || ~3", "go1.26rc1", "v20", "lts/*", ">=3.8,<4", "3.13-dev", "[project]\nrequires-python = \">=3\"", "go 1.2\ntoolchain go1.3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, ok := parseVersion(text)
		if ok {
			goVersion(v)
		}
		if r, err := parseRange(text, true); err == nil && ok {
			r.allows(v)
		}
		goDirective(text)
		toolVersion(text, "go")
		pythonFromProject(text)
		if allows, err := nodeRange(text); err == nil && ok {
			allows(v)
		}
		nodeFromPackage([]byte(text))
	})
}
