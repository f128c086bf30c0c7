package process

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machines are the ELF machines of Go's architectures (System V ABI, e_machine).
var machines = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64, "ppc64": elf.EM_PPC64, "ppc64le": elf.EM_PPC64,
	"riscv64": elf.EM_RISCV, "s390x": elf.EM_S390, "loong64": elf.EM_LOONGARCH,
}

// explain puts the error of an exec (execve(2)) into words.
func explain(l launch, err error) error {
	say := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s: %w", l.argv[0], fmt.Sprintf(format, args...), err)
	}
	info, statErr := os.Stat(l.path)
	switch {
	case errors.Is(err, unix.ENOENT):
		if _, err := os.Stat(l.work()); err != nil {
			return say("its working folder is missing")
		}
		if statErr != nil {
			return say("there is no such program (%s)", l.path)
		}
		if by := interpreter(l.path); by != "" {
			return say("the program is there, but what is to run it is not: %s", by)
		}
		return say("something that it needs to run is missing")
	case errors.Is(err, unix.ENOTDIR):
		return say("a part of its path is no folder (%s)", l.path)
	case errors.Is(err, unix.EACCES):
		switch {
		case statErr != nil:
			return say("it may not be reached (%s)", l.path)
		case info.IsDir():
			return say("it is a folder")
		case info.Mode()&0o111 == 0:
			return say("it may not be executed: its mode is %v", info.Mode())
		}
		return say("it may not be executed: by its mode, or its file system is mounted with noexec")
	case errors.Is(err, unix.ENOEXEC):
		return say("%s", format(l.path))
	case errors.Is(err, unix.E2BIG):
		return say("its arguments and its environment are too long")
	case errors.Is(err, unix.EAGAIN):
		return say("there may be no more processes")
	case errors.Is(err, unix.ENOMEM):
		return say("there is not enough memory")
	case errors.Is(err, unix.ETXTBSY):
		return say("somebody is writing to the program")
	case errors.Is(err, fs.ErrPermission):
		return say("it is forbidden")
	}
	return fmt.Errorf("%s: %w", l.argv[0], err)
}

// interpreter returns what runs a file and is missing: a script's interpreter or a binary's loader.
func interpreter(path string) string {
	if f, err := elf.Open(path); err == nil {
		defer f.Close()
		for _, p := range f.Progs {
			if p.Type != elf.PT_INTERP || p.Filesz == 0 || p.Filesz > unix.PathMax {
				continue
			}
			name := make([]byte, p.Filesz)
			if _, err := p.ReadAt(name, 0); err != nil {
				continue
			}
			loader := strings.TrimRight(string(name), "\x00")
			if _, err := os.Stat(loader); err != nil {
				return loader + " (it was built for another C library, or not statically)"
			}
		}
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, _ := bufio.NewReaderSize(f, 256).ReadSlice('\n') // the kernel looks at 256 bytes
	script, ok := strings.CutPrefix(string(line), "#!")
	if !ok {
		return ""
	}
	if name, _, _ := strings.Cut(strings.TrimSpace(script), " "); name != "" {
		if strings.HasSuffix(strings.TrimSuffix(string(line), "\n"), "\r") {
			return strings.TrimSpace(name) + " (its first line ends with a carriage return, as on Windows)"
		}
		if _, err := os.Stat(name); err != nil {
			return name
		}
	}
	return ""
}

// format says why the kernel cannot execute a file.
func format(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		if info, err := os.Stat(path); err == nil && info.Size() == 0 {
			return "it is empty"
		}
		return "it is neither a program for this system nor a script with #! in its first line"
	}
	defer f.Close()
	if want := machines[runtime.GOARCH]; want != elf.EM_NONE && f.Machine != want {
		return fmt.Sprintf("it is built for another machine: for %s, and this is %s", machineName(f.Machine), machineName(want))
	}
	return fmt.Sprintf("it is a program that this machine (%s) cannot execute", runtime.GOARCH)
}

func machineName(m elf.Machine) string {
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}
