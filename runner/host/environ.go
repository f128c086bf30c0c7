package host

import (
	"os"
	"os/user"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// PassedEnv returns the patterns of the variables of Gantry's own environment that the processes of a job get; a name may
// end in "*". Everything else of a developer's shell stays out: it is what makes a pipeline pass here and fail elsewhere. TMPDIR,
// TERM, PAGER, EDITOR, CI, GIT_*, credentials and agents (SSH_AUTH_SOCK) are not passed; Options.PassEnv adds what a machine needs.
func PassedEnv() []string {
	return slices.Concat(
		// Who and where.
		[]string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ"},
		// The way out of a company's network, and its certificates.
		[]string{"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
			"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"},
		// Where this machine gets packages from, and keeps them: without these nothing installs behind a mirror, and
		// a cache that was moved out of the home folder would be filled again.
		[]string{"GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOVCS", "GOTOOLCHAIN",
			"GOPATH", "GOMODCACHE", "GOCACHE",
			"npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_cache", "NPM_CONFIG_CACHE",
			"PIP_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CACHE_DIR", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_CACHE_DIR",
			"CARGO_HOME", "RUSTUP_HOME", "XDG_CACHE_HOME"},
		// The container engine that steps may call.
		[]string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "XDG_RUNTIME_DIR"},
		systemEnv[runtime.GOOS],
	)
}

// systemEnv are variables without which processes do not work on a system.
var systemEnv = map[string][]string{
	"windows": {"SystemRoot", "SystemDrive", "windir", "ComSpec", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "USERNAME", "APPDATA",
		"LOCALAPPDATA", "ProgramData", "ProgramFiles", "ProgramFiles(x86)", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "OS"},
}

// defaultPath is the PATH where Gantry has none itself.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// homeVariable names the home folder.
var homeVariable = map[bool]string{false: "HOME", true: "USERPROFILE"}[runtime.GOOS == "windows"]

// cleanEnv returns the variables that processes of a job start with, sorted by name.
func cleanEnv(own, more []string) []pipeline.EnvVar {
	exact, prefixes := map[string]bool{}, []string(nil)
	for _, p := range slices.Concat(PassedEnv(), more) {
		if before, ok := strings.CutSuffix(p, "*"); ok {
			prefixes = append(prefixes, before)
		} else {
			exact[fold(p)] = true
		}
	}
	var out []pipeline.EnvVar
	has := map[string]bool{}
	for _, v := range own {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" || name == Tracking || has[fold(name)] {
			continue
		}
		if exact[fold(name)] || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(fold(name), fold(p)) }) {
			has[fold(name)] = true
			out = append(out, pipeline.EnvVar{Name: name, Value: value})
		}
	}
	if !has[fold("PATH")] {
		out = append(out, pipeline.EnvVar{Name: "PATH", Value: defaultPath})
	}
	if !has[fold(homeVariable)] {
		if u, err := user.Current(); err == nil && path.IsAbs(u.HomeDir) && isDir(u.HomeDir) {
			out = append(out, pipeline.EnvVar{Name: homeVariable, Value: u.HomeDir})
		}
	}
	slices.SortFunc(out, func(a, b pipeline.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// fold makes names comparable where the system does not tell small letters from capital ones.
func fold(name string) string {
	if runtime.GOOS == "windows" {
		return strings.ToUpper(name)
	}
	return name
}
