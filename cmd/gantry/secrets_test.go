package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSecretFile(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     map[string]string
		err      string
	}{
		{"empty", "", map[string]string{}, ""},
		{"plain", "A=1\n# no\n\n export B = two words # remark\nC=a#b\r\nD=\n", map[string]string{"A": "1", "B": "two words", "C": "a#b", "D": ""}, ""},
		{"quotes", "A='it is $x \\n' # ok\nB=\"a\\n\\\"b\\\" \\\\ \\q\"\n", map[string]string{"A": `it is $x \n`, "B": "a\n\"b\" \\ \\q"}, ""},
		{"many lines", "K=\"-----BEGIN\nabc\n-----END\"\nL=x", map[string]string{"K": "-----BEGIN\nabc\n-----END", "L": "x"}, ""},
		{"json", "\ufeff{\"A\": \"x\", \"B\": 1.50, \"C\": true}", map[string]string{"A": "x", "B": "1.5", "C": "true"}, ""},
		{"no assignment", "A=1\nhunter2\n", nil, "2: expected NAME=value"},
		{"bad name", "A-B=1", nil, "1: the name of a secret"},
		{"digit first", "1A=1", nil, "1: the name of a secret"},
		{"open quote", "A=1\nB='x\ny", nil, "2: the quote is never closed"},
		{"text behind", "A='x\n'y", nil, "1: there is more behind"},
		{"bad json", "{\n\"A\": \"x\",\n}", nil, "3: the file begins like JSON"},
		{"json list", "{\"A\": [\"hunter2\"]}", nil, "1: the value of A is no text"},
		{"binary", "A=\xff", nil, "1: the file is not UTF-8 text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSecretFile([]byte(tt.in))
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error shows a value: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got.Strings()); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzParseSecretFile(f *testing.F) {
	f.Add([]byte("A=1\nexport B='x\ny' # z\nC=\"\\n\""))
	f.Add([]byte(`{"A": "x"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := parseSecretFile(content)
		if err != nil {
			return
		}
		for _, k := range m.Keys() {
			if checkSecretName(k) != nil {
				t.Errorf("name %q came through", k)
			}
		}
	})
}

func TestReadSecrets(t *testing.T) {
	t.Setenv("FROM_ENV", "e")
	file := filepath.Join(t.TempDir(), "s.env")
	if err := os.WriteFile(file, []byte("A=file\nB=file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readSecrets([]string{file}, []string{"FROM_ENV", "B=flag=x"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"A": "file", "B": "flag=x", "FROM_ENV": "e"}, got.Strings()); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"NOT_THERE_AT_ALL", "=x", "a-b=hunter2"} {
		if _, err := readSecrets(nil, []string{bad}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("--secret %s: error %v", bad, err)
		}
	}
}
