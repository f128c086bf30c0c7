package junit

import (
	"archive/zip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Limits of an archive. Sizes are in bytes, unpacked.
const (
	// MaxEntries is how many files an archive may have to be looked at, MaxFiles how many of them are opened.
	MaxEntries = 100_000
	MaxFiles   = 2_000
	// MaxArchive is how much of it is unpacked in all.
	MaxArchive = 64 << 20
	// maxHead is how far the root of a document is looked for.
	maxHead = 16 << 10
)

// Report is a report that was found in an archive.
type Report struct {
	File   string
	Suites []Suite
}

// Problem is a file that is a report, or says so, and cannot be read; File is empty where it is about the archive.
type Problem struct {
	File string
	Err  error
}

// Found is what an archive has.
type Found struct {
	Reports  []Report
	Problems []Problem
}

// Find reads the reports in a zip archive: its files that end with .xml and whose root element is a report's. Files that cannot be read,
// and limits at which it stopped, are problems beside the rest. The error is for what is no zip archive, and for the end of ctx.
func Find(ctx context.Context, r io.ReaderAt, size int64) (*Found, error) {
	return find(ctx, r, size, MaxArchive)
}

// find is Find with a limit of what is unpacked, in bytes.
func find(ctx context.Context, r io.ReaderAt, size, limit int64) (*Found, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("look for test reports: %w", err)
	}
	found := &Found{}
	problem := func(file string, err error) { found.Problems = append(found.Problems, Problem{file, err}) }
	if len(z.File) > MaxEntries {
		problem("", fmt.Errorf("it has more than %d files, and was not looked at", MaxEntries))
		return found, nil
	}
	budget, opened, cases := limit, 0, 0
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("look for test reports: %w", err)
		}
		if !strings.EqualFold(path.Ext(f.Name), ".xml") || !f.Mode().IsRegular() {
			continue
		}
		if opened++; opened > MaxFiles {
			problem("", fmt.Errorf("it has more than %d XML files; the rest was not looked at", MaxFiles))
			break
		}
		isReport, err := sniff(f, &budget)
		var suites []Suite
		if isReport && err == nil {
			suites, err = unpack(f, &budget)
		}
		if budget <= 0 {
			problem("", fmt.Errorf("its XML files have more than %d MiB unpacked; the rest was not looked at", limit>>20))
			break
		}
		if err != nil {
			problem(f.Name, err)
			continue
		}
		if !isReport {
			continue
		}
		for i := range suites {
			cases += suites[i].Tests
		}
		if cases > MaxCases {
			problem(f.Name, fmt.Errorf("the archive's reports have more than %d tests; the rest was not read", MaxCases))
			break
		}
		found.Reports = append(found.Reports, Report{f.Name, suites})
	}
	return found, nil
}

// errBudget is that as much was unpacked as may be.
var errBudget = errors.New("too much was unpacked")

// budgeted counts what is unpacked. What an archive says of sizes is not believed.
type budgeted struct {
	r    io.Reader
	left *int64
}

func (b budgeted) Read(p []byte) (int, error) {
	if *b.left <= 0 {
		return 0, errBudget
	}
	n, err := b.r.Read(p)
	*b.left -= int64(n)
	return n, err
}

// sniff reports whether the root of a file is that of a report. What is not XML is none.
func sniff(f *zip.File, budget *int64) (bool, error) {
	r, err := f.Open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	text, err := readable(io.LimitReader(budgeted{r, budget}, maxHead))
	if err != nil {
		return false, nil // an encoding that no report that could be read has
	}
	d := newDecoder(text)
	for {
		t, err := d.Token()
		if err != nil {
			return false, nil
		}
		if e, ok := t.(xml.StartElement); ok {
			return e.Name.Local == "testsuites" || e.Name.Local == "testsuite", nil
		}
	}
}

func unpack(f *zip.File, budget *int64) ([]Suite, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return Parse(budgeted{r, budget})
}
