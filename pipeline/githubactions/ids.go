package githubactions

import (
	"fmt"
	"strconv"
	"strings"
)

// maxID is how many characters the ID of a job or step may have.
const maxID = 100

// checkID says what is wrong with the ID of a job or step; empty: nothing.
func checkID(id string) string {
	if strings.HasPrefix(id, "__") {
		return fmt.Sprintf("the ID %q is invalid: IDs that start with '__' are reserved", id)
	}
	ok := id != "" && len(id) < maxID && !strings.ContainsRune("-0123456789", rune(id[0]))
	for _, c := range []byte(id) {
		ok = ok && idByte(c)
	}
	if !ok {
		return fmt.Sprintf("the ID %q is invalid: it has to start with a letter or '_', to hold only letters, digits, '-' and '_', and to be shorter than %d characters", id, maxID)
	}
	return ""
}

func idByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// stepIDs hands out the IDs of steps that have none: "__run", "__run_2", "__actions_checkout". Compared without case.
type stepIDs map[string]bool

// next returns an ID made of a word that says what the step does.
func (ids stepIDs) next(word string) string {
	b := []byte("__" + word)
	for i, c := range b {
		if !idByte(c) {
			b[i] = '_'
		}
	}
	base := string(b)
	for n := 1; ; n++ {
		suffix := ""
		if n > 1 {
			suffix = "_" + strconv.Itoa(n)
		}
		id := base[:min(len(base), maxID-len(suffix))] + suffix
		if folded := strings.ToLower(id); !ids[folded] {
			ids[folded] = true
			return id
		}
	}
}

// usesWord returns the word for the ID of a step that uses an action: owner_repo, the image, or "self" for a local one.
func usesWord(ref string) string {
	if image, ok := strings.CutPrefix(ref, "docker://"); ok {
		return image
	}
	if isLocal(ref) {
		return "self"
	}
	path, _, _ := strings.Cut(ref, "@")
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' })
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// isLocal reports whether a reference is a path within the repository.
func isLocal(ref string) bool { return strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, `.\`) }
