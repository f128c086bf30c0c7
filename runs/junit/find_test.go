package junit

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// archive makes a zip of names and contents in turn.
func archive(t testing.TB, files ...string) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

const good = `<?xml version="1.0"?><testsuite name="s"><testcase name="c"/></testsuite>`

func TestFind(t *testing.T) {
	r := archive(t,
		"reports/TEST-a.xml", good,
		"deep/er/b.XML", good,
		"pom.xml", "<project><testsuite/></project>",
		"coverage.xml", `<?xml version="1.0" ?><coverage/>`,
		"notes.txt", good,
		"cut.xml", "<testsuites><testcase",
		"not-xml.xml", "hello",
		"folder.xml/", "",
		"comments.xml", "<!-- x --><?pi?><!DOCTYPE testsuites>"+good[21:],
	)
	found, err := Find(t.Context(), r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, rep := range found.Reports {
		files = append(files, rep.File)
		if len(rep.Suites) != 1 || rep.Suites[0].Tests != 1 {
			t.Errorf("%s has %+v", rep.File, rep.Suites)
		}
	}
	if got := strings.Join(files, " "); got != "reports/TEST-a.xml deep/er/b.XML comments.xml" {
		t.Errorf("found %s", got)
	}
	if len(found.Problems) != 1 || found.Problems[0].File != "cut.xml" {
		t.Errorf("problems: %v", found.Problems)
	}
}

func TestFindRefuses(t *testing.T) {
	if _, err := Find(t.Context(), strings.NewReader("no zip"), 6); err == nil {
		t.Error("something that is no zip was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := archive(t, "a.xml", good)
	if _, err := Find(ctx, r, r.Size()); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}

	// Each file is under the limit, together they are over it; packed they are nothing.
	big := "<testsuite><testcase name='c'><system-out>" + strings.Repeat(" ", 900<<10) + "</system-out></testcase></testsuite>"
	var bomb []string
	for i := range 10 {
		bomb = append(bomb, fmt.Sprintf("%d.xml", i), big)
	}
	r = archive(t, bomb...)
	found, err := find(t.Context(), r, r.Size(), 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Reports) != 4 || len(found.Problems) != 1 || !strings.Contains(found.Problems[0].Err.Error(), "4 MiB unpacked") {
		t.Errorf("a bomb of %d bytes: %d reports, problems %v", r.Size(), len(found.Reports), found.Problems)
	}

	var many []string
	for i := range MaxFiles + 1 {
		many = append(many, fmt.Sprintf("%d.xml", i), good)
	}
	r = archive(t, many...)
	found, err = Find(t.Context(), r, r.Size())
	if err != nil || len(found.Reports) != MaxFiles || len(found.Problems) != 1 {
		t.Errorf("many files: %d reports, problems %v, %v", len(found.Reports), found.Problems, err)
	}
}

func FuzzFind(f *testing.F) {
	r := archive(f, "a.xml", good, "b.xml", "<project/>")
	b, _ := io.ReadAll(r)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		found, err := Find(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err == nil && found == nil {
			t.Error("neither found nor failed")
		}
	})
}
