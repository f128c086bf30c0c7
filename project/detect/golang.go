package detect

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// program is what a fact is about that says what a service was found by.
const program = "program"

var errUnreadable = errors.New("the file cannot be read")

// literal is text in code, with its place.
type literal struct {
	text string
	file string
	line int
}

// goPackage is a folder of Go files, tests left out.
type goPackage struct {
	dir string
	// main: it is a program.
	main    bool
	mainAt  literal
	imports []string
	texts   []literal
	// listens: it calls something that serves or listens.
	listens bool
}

var (
	goFile     = lazy.New(`\.go$`)
	goModule   = lazy.New(`(?m)^module\s+"?([^\s"]+)`)
	listenText = lazy.New(`^(\[[0-9a-fA-F:.]*\]|[A-Za-z0-9.-]*):([0-9]{2,5})$`)
	pathText   = lazy.New(`^(?:(?:GET|HEAD) )?(/[a-z_/-]*)(?:\{\$\})?$`)
)

// Paths that people use, the likeliest first.
var (
	healthPaths  = []string{"/healthz", "/readyz", "/health", "/livez", "/ready", "/healthcheck", "/health/live", "/health/ready", "/actuator/health", "/_health", "/-/healthy", "/status", "/ping"}
	metricsPaths = []string{"/metrics", "/prometheus", "/actuator/prometheus", "/-/metrics"}
)

// golang finds Go programs that listen.
func (s *scanner) golang() {
	packages := map[string]*goPackage{}
	for _, f := range s.named(goFile) {
		if !strings.HasSuffix(f, "_test.go") {
			s.goFile(packages, f)
		}
	}
	modules := map[string]string{} // folders to module paths
	for _, f := range s.files {
		if path.Base(f) == "go.mod" {
			if m := goModule.FindSubmatch(s.read(f)); m != nil {
				modules[path.Dir(f)] = string(m[1])
			}
		}
	}
	var dirs []string
	for dir, p := range packages {
		if p.main {
			dirs = append(dirs, dir)
		}
	}
	sort.Strings(dirs)
	var silent []*goPackage
	for _, dir := range dirs {
		root := moduleOf(dir, modules)
		all := closure(packages, packages[dir], root, modules[root])
		if !slices.ContainsFunc(all, func(p *goPackage) bool { return p.listens }) {
			silent = append(silent, packages[dir])
			continue
		}
		s.goProgram(dir, root, modules[root], all)
	}
	for _, p := range silent {
		s.found.Left = append(s.found.Left, Fact{What: program, Value: p.dir, File: p.mainAt.file, Line: p.mainAt.line, Why: "it does not listen on a port"})
	}
}

// moduleOf returns the folder of the module that a folder belongs to, or the folder itself.
func moduleOf(dir string, modules map[string]string) string {
	for at := dir; ; at = path.Dir(at) {
		if _, ok := modules[at]; ok {
			return at
		}
		if at == "." {
			return dir
		}
	}
}

// closure returns a package and those of its module that it imports, directly or not.
func closure(packages map[string]*goPackage, from *goPackage, root, module string) []*goPackage {
	out := []*goPackage{from}
	for i := 0; i < len(out); i++ {
		for _, imported := range out[i].imports {
			rel, ok := strings.CutPrefix(imported, module)
			if module == "" || !ok {
				continue
			}
			p := packages[path.Join(root, rel)]
			if p != nil && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// goFile adds a file to its package. What does not parse is left out.
func (s *scanner) goFile(packages map[string]*goPackage, name string) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, s.read(name), parser.SkipObjectResolution)
	if err != nil {
		return
	}
	dir := path.Dir(name)
	p := packages[dir]
	if p == nil {
		p = &goPackage{dir: dir}
		packages[dir] = p
	}
	for _, i := range f.Imports {
		if target, err := strconv.Unquote(i.Path.Value); err == nil {
			p.imports = append(p.imports, target)
		}
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "main" && fn.Recv == nil && f.Name.Name == "main" {
			p.main, p.mainAt = true, literal{file: name, line: files.Position(fn.Pos()).Line}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				if text, err := strconv.Unquote(n.Value); err == nil && len(text) < 200 {
					p.texts = append(p.texts, literal{text, name, files.Position(n.Pos()).Line})
				}
			}
		case *ast.SelectorExpr:
			switch n.Sel.Name {
			case "ListenAndServe", "ListenAndServeTLS", "Listen", "ListenTCP", "Serve", "ServeTLS":
				p.listens = true
			}
		}
		return true
	})
}

// goProgram makes a service of a program and what it imports.
func (s *scanner) goProgram(dir, root, module string, all []*goPackage) {
	base := path.Base(dir)
	if dir == root {
		base = path.Base(module)
		if module == "" || versionSuffix.MatchString(base) {
			base = path.Base(strings.TrimSuffix(module, "/"+base))
		}
		if dir != "." && module == "" {
			base = path.Base(dir)
		}
	}
	v := &Service{Name: Name(base, s.found.Name), Path: root, Protocol: "http"}
	at := all[0].mainAt
	v.fact(Fact{What: program, Value: dir, File: at.file, Line: at.line})
	v.Command = []string{"./" + base}
	if base == "." || base == "" {
		v.Command = []string{"./" + v.Name}
	}
	v.fact(Fact{What: "command", Value: v.Command[0], Guess: true, Why: "the program is called as its folder"})
	var texts []literal
	for _, p := range all {
		texts = append(texts, p.texts...)
		if slices.Contains(p.imports, "google.golang.org/grpc") {
			v.Protocol = "grpc"
		}
	}
	v.literals(texts)
	if v.Protocol == "grpc" && v.Health == "" {
		v.fact(Fact{What: "protocol", Value: "grpc", Guess: true, Why: "it imports google.golang.org/grpc"})
	} else {
		v.Protocol = "http"
	}
	s.found.add(v)
}

var versionSuffix = lazy.New(`^v[0-9]+$`)

// literals takes the port, the health and the metrics path from texts in code.
func (v *Service) literals(texts []literal) {
	v.FixedPort = true
	for _, t := range texts {
		if t.text == "PORT" {
			v.FixedPort = false
		}
		if m := listenText.FindStringSubmatch(t.text); m != nil && v.Port == 0 {
			if n, err := strconv.Atoi(m[2]); err == nil && n >= 80 && n <= 65535 && !upstream(m[1]) {
				v.Port = n
				v.fact(Fact{What: "port", Value: number(n), File: t.file, Line: t.line})
			}
		}
	}
	pick := func(what string, known []string) string {
		for _, want := range known {
			for _, t := range texts {
				if m := pathText.FindStringSubmatch(t.text); m != nil && m[1] == want {
					v.fact(Fact{What: what, Value: want, File: t.file, Line: t.line})
					return want
				}
			}
		}
		return ""
	}
	v.Health, v.Metrics = pick("health", healthPaths), pick("metrics", metricsPaths)
	if v.Port == 0 {
		v.Port = 8080
		v.fact(Fact{What: "port", Value: "8080", Guess: true, Why: "no address stands in the code"})
	}
	if v.FixedPort {
		v.fact(Fact{What: "variable", Value: "PORT", Guess: true, Why: "nothing in the code reads it; the program has to listen on the port that it says"})
	}
}

// upstream: an address with the name of another machine is one to speak to, not one to listen on.
func upstream(host string) bool {
	switch host {
	case "", "0.0.0.0", "127.0.0.1", "localhost", "[::]", "[::1]":
		return false
	}
	return true
}
