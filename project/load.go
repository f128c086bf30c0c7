package project

import (
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/ics"
	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/openslo"
)

// Options are what [Load] may be given beside the file.
type Options struct {
	// CheckQuery says what is wrong with a PromQL query, whose variables stand for names; nil checks none. It is called in the order of the
	// file, once for a query.
	CheckQuery func(query string) error
}

// Load reads a gantry.yaml, and the calendars and objectives that it names, out of a folder. name is its path in fsys, by slashes; those
// that it names are relative to its folder. An error is for a gantry.yaml that cannot be read at all; it wraps fs.ErrNotExist where there is
// none. Everything else is a diagnostic, as with [Parse], at its place in the file that it is about.
func Load(fsys fs.FS, name string, o Options) (*Project, pipeline.Diagnostics, error) {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, nil, err
	}
	p, c, diags := parse(name, src)
	if p == nil {
		return nil, diags, nil
	}
	l := &references{fs: fsys, dir: path.Dir(name), c: c, o: o, calendars: map[string]*ics.Calendar{}, slos: map[string][]*openslo.SLO{}, queries: map[string]error{}}
	l.read(p)
	diags = append(diags, l.diags...)
	diags.Sort()
	if diags.HasErrors() {
		return nil, diags, nil
	}
	return p, diags, nil
}

// references are the files that a project names.
type references struct {
	fs        fs.FS
	dir       string
	c         *checker
	o         Options
	diags     pipeline.Diagnostics
	calendars map[string]*ics.Calendar
	slos      map[string][]*openslo.SLO
	queries   map[string]error
}

func (l *references) read(p *Project) {
	l.c.r = bind.NewReader(&l.diags).Places(l.c.r)
	for _, e := range p.Environments {
		for _, f := range e.Gates.Freezes {
			if f.Calendar != "" {
				f.Events = l.calendar(f.Calendar, l.c.r.At(&f.Calendar))
			}
			if f.Except != "" {
				f.Lifted = l.calendar(f.Except, l.c.r.At(&f.Except))
			}
		}
		for _, t := range e.Placements {
			a := &t.Service.Analysis
			for i := range a.SLOs {
				l.objectives(t.Service, &a.SLOs[i])
			}
			for _, q := range a.Queries {
				l.query(q.Query, l.c.at(t.Service, &q.Query, q))
			}
		}
	}
}

// file reads a file that is named at a node.
func (l *references) file(name string, n *bind.Node) []byte {
	src, err := fs.ReadFile(l.fs, path.Join(l.dir, name))
	if err != nil {
		hint := "it is looked for from the folder of " + FileName
		if !errors.Is(err, fs.ErrNotExist) {
			l.c.r.Report(pipeline.Error, n, codeFile, hint, "the file %s cannot be read: %v", name, err)
			return nil
		}
		l.c.r.Report(pipeline.Error, n, codeFile, hint, "there is no file %s", name)
		return nil
	}
	return src
}

func (l *references) calendar(name string, n *bind.Node) *ics.Calendar {
	if c, ok := l.calendars[name]; ok {
		return c
	}
	l.calendars[name] = nil
	src := l.file(name, n)
	if src == nil {
		return nil
	}
	c, diags := ics.Parse(path.Join(l.dir, name), src)
	l.diags = append(l.diags, diags...)
	l.calendars[name] = c
	return c
}

func (l *references) objectives(s *Service, ref *SLORef) {
	all, ok := l.slos[ref.File]
	if !ok {
		if src := l.file(ref.File, l.c.at(s, &ref.File)); src != nil {
			var diags pipeline.Diagnostics
			all, diags = openslo.Parse(path.Join(l.dir, ref.File), src)
			l.diags = append(l.diags, diags...)
			for _, o := range all {
				for _, q := range []string{o.Indicator.Good, o.Indicator.Bad, o.Indicator.Total, o.Indicator.Raw, o.Indicator.Threshold} {
					if q != "" {
						l.query(q, l.c.at(s, &ref.File))
					}
				}
			}
		}
		l.slos[ref.File] = all
	}
	if all == nil {
		return
	}
	ref.SLOs = all
	if ref.Name != "" {
		ref.SLOs = slices.DeleteFunc(slices.Clone(all), func(o *openslo.SLO) bool { return o.Name != ref.Name })
	}
	if len(ref.SLOs) == 0 {
		var names []string
		for _, o := range all {
			names = append(names, o.Name)
		}
		l.c.unknown(l.c.at(s, &ref.Name), "SLO", ref.Name, names)
	}
}

// query checks a query once; the variables stand for names.
func (l *references) query(text string, n *bind.Node) {
	if l.o.CheckQuery == nil {
		return
	}
	err, ok := l.queries[text]
	if !ok {
		err = l.o.CheckQuery(ExpandQuery(text, "service", "version", "environment", "region"))
		l.queries[text] = err
	}
	if err != nil {
		l.c.r.Report(pipeline.Error, n, codeQuery, "", "the query is not valid PromQL: %v", err)
	}
}
