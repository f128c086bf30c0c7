package host

import (
	"os"
	"syscall"

	"github.com/gantry-ops/gantry/runner"
)

type stopSignal int

const (
	interrupt stopSignal = iota
	terminate
	kill
)

func processAttr(*os.File) *syscall.SysProcAttr { return nil }

func takeBack(*os.File) {}

// signalGroup ends the process, whatever the signal: there are none on this system.
func signalGroup(p *os.Process, _ stopSignal) { p.Kill() }

func (w *Workspace) keepGroup(int) {}

func exitOf(state *os.ProcessState) runner.Exit { return runner.Exit{Code: state.ExitCode()} }

// readAvailable is never needed: reads of pipes cannot be interrupted.
func (o *output) readAvailable() (eof bool) { return true }
