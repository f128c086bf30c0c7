package githubactions

import "testing"

// The cases are those of the vendor's filter pattern cheat sheet, and what follows from its rules.
func TestCompileFilter(t *testing.T) {
	for _, c := range []struct {
		pattern  string
		yes, not []string
	}{
		{"feature/*", []string{"feature/my-branch", "feature/your-branch", "feature/"}, []string{"feature/a/b", "feature"}},
		{"feature/**", []string{"feature/beta-a/my-branch", "feature/your-branch", "feature/mona/the/octocat"}, []string{"features/a"}},
		{"main", []string{"main"}, []string{"mainly", "a/main", "Main"}},
		{"releases/mona-the-octocat", []string{"releases/mona-the-octocat"}, []string{"releases/mona"}},
		{"*", []string{"main", "releases"}, []string{"all/the/branches"}},
		{"**", []string{"all/the/branches", "every/tag", "x"}, nil},
		{"*feature", []string{"mona-feature", "feature", "ver-10-feature"}, []string{"feature-a", "a/feature"}},
		{"v2*", []string{"v2", "v2.0", "v2.9"}, []string{"v3", "v2/1"}},
		{"v[12].[0-9]+.[0-9]+", []string{"v1.10.1", "v2.0.0"}, []string{"v3.0.0", "v1.0", "v1x0x1"}},
		{"docs/*", []string{"docs/README.md", "docs/file.txt"}, []string{"docs/a/b"}},
		{"docs/**", []string{"docs/README.md", "docs/mona/octocat.txt"}, []string{"docs"}},
		{"docs/**/*.md", []string{"docs/README.md", "docs/mona/hello-world.md", "docs/a/markdown/file.md"}, []string{"docs/a.txt"}},
		{"**/docs/**", []string{"docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"}, []string{"mydocs/a"}},
		{"**/README.md", []string{"README.md", "js/README.md"}, []string{"README.mdx", "XREADME.md"}},
		{"**/*src/**", []string{"a/src/app.js", "my-src/code/js/app.js"}, []string{"a/srcs/b"}},
		{"**/*-post.md", []string{"my-post.md", "path/their-post.md"}, []string{"post.md"}},
		{"**/migrate-*.sql", []string{"migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"}, []string{"migrate.sql"}},
		{"**.js", []string{"index.js", "js/index.js", "src/js/app.js"}, []string{"index.jsx"}},
		{"*.jsx?", []string{"page.js", "page.jsx"}, []string{"page.ts", "page.jsxx"}},
		{"[CB]at", []string{"Cat", "Bat"}, []string{"cat", "CBat"}},
		{"[1-2]00", []string{"100", "200"}, []string{"300"}},
		{"a[^b]c", []string{"a^c", "abc"}, []string{"axc"}},
		{`v1\+`, []string{"v1+"}, []string{"v1", "v11"}},
		{"a*?b", []string{"ab", "axb"}, []string{"a/b"}},
		{"a++", []string{"a", "aaa"}, []string{""}},
		{"a.b", []string{"a.b"}, []string{"axb"}},
	} {
		match, negate, err := compileFilter(c.pattern)
		if err != nil || negate {
			t.Errorf("%q: negate %v, error %v", c.pattern, negate, err)
			continue
		}
		for _, name := range c.yes {
			if !match.MatchString(name) {
				t.Errorf("%q does not match %q (%v)", c.pattern, name, match)
			}
		}
		for _, name := range c.not {
			if match.MatchString(name) {
				t.Errorf("%q matches %q (%v)", c.pattern, name, match)
			}
		}
	}
	if match, negate, err := compileFilter("!releases/**-alpha"); err != nil || !negate || !match.MatchString("releases/beta/3-alpha") {
		t.Errorf("negated pattern: %v %v %v", match, negate, err)
	}
	for _, bad := range []string{"", "!", "?a", "+", "[", "a[", "[]", "a]", "[z-a]", `a\`} {
		if match, _, err := compileFilter(bad); err == nil {
			t.Errorf("%q is accepted: %v", bad, match)
		}
	}
}
