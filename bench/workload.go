package main

import (
	"fmt"
	"strings"
)

// workload is a workflow and the bash script that does the same with nothing around it.
type workload struct {
	name     string
	workflow string
	// floor is the script; it runs in the repository, next to the scripts of the steps.
	floor string
	// files are the scripts that the floor hands to its shells.
	files map[string]string
	// jobs is how many jobs may run at a time; 0: the contender's default.
	jobs int
	// secrets to hand over. The floor gets none.
	secrets map[string]string
}

const (
	workflowHead = "name: bench\non: push\njobs:\n"
	// stepShell is how GitHub runs a step on Linux that names no shell.
	stepShell = "bash -e "
)

// trivial is what a trivial step does: a builtin, so that the shell's own start is all that it costs.
const trivial = "true"

// stepsOf is one job of n trivial steps.
func stepsOf(n int) workload {
	var w, f strings.Builder
	w.WriteString(workflowHead + "  job:\n    runs-on: ubuntu-latest\n    steps:\n")
	for range n {
		fmt.Fprintf(&w, "      - run: %s\n", trivial)
		f.WriteString(stepShell + "step.sh\n")
	}
	return workload{name: fmt.Sprintf("steps-%d", n), workflow: w.String(), floor: f.String(), files: map[string]string{"step.sh": trivial + "\n"}}
}

// jobsOf are n jobs of one trivial step that do not wait for each other. The floor gives them no folders: mkdir would be
// a process more than the shells that are compared.
func jobsOf(n int) workload {
	var w, f strings.Builder
	w.WriteString(workflowHead)
	for i := range n {
		fmt.Fprintf(&w, "  job-%d:\n    runs-on: ubuntu-latest\n    steps:\n      - run: %s\n", i, trivial)
	}
	fmt.Fprintf(&f, "for ((i = 0; i < %d; i++)); do %sstep.sh; done\n", n, stepShell)
	return workload{name: fmt.Sprintf("jobs-%d", n), workflow: w.String(), floor: f.String(), files: map[string]string{"step.sh": trivial + "\n"}}
}

// The skewed graph: chains of jobs side by side, all of the same length. In every second level the first chain is slow, in
// the others the second one is. Who waits for whole levels waits for all slow jobs, levels × slow; who starts a job when its own needs
// have ended waits for those of one chain, half of it.
const (
	skewedChains  = 50
	skewedLevels  = 4
	skewedSeconds = 2
)

// skewed is the skewed graph, 200 jobs in all.
func skewed() workload {
	var w, f strings.Builder
	w.WriteString(workflowHead)
	for chain := range skewedChains {
		f.WriteString("(")
		for level := range skewedLevels {
			fmt.Fprintf(&w, "  chain-%d-%d:\n    runs-on: ubuntu-latest\n", chain, level)
			if level > 0 {
				fmt.Fprintf(&w, "    needs: chain-%d-%d\n", chain, level-1)
			}
			run := trivial
			file := "step.sh"
			if chain < 2 && level%2 == chain {
				run, file = fmt.Sprintf("sleep %d", skewedSeconds), "slow.sh"
			}
			fmt.Fprintf(&w, "    steps:\n      - run: %s\n", run)
			f.WriteString(stepShell + file + "; ")
		}
		f.WriteString(") &\n")
	}
	f.WriteString("wait\n")
	return workload{name: "skewed", workflow: w.String(), floor: f.String(), jobs: skewedChains * skewedLevels,
		files: map[string]string{"step.sh": trivial + "\n", "slow.sh": fmt.Sprintf("sleep %d\n", skewedSeconds)}}
}

const (
	// logBytes is how much the noisy step prints, and logLine what it prints over and over. One line in it is longer by a secret.
	logBytes = 100_000_000
	logLine  = "2026-03-02T12:00:00Z INFO request served method=GET route=/orders/{id} status=200 duration=1.25ms"
	// secretEvery is the number of plain lines to one with a secret.
	secretEvery = 99
)

// benchSecrets are what has to be masked; the first one does occur.
var benchSecrets = map[string]string{
	"TOKEN":       "q7Zt-4vLmX9.kRw2",
	"DB_PASSWORD": "correct-horse-battery-staple",
	"SIGNING_KEY": "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END KEY-----",
}

// noisy prints 100 MB from one step, with a secret in every hundredth line.
func noisy() workload {
	// The block is made once; cat writes it until head has enough.
	script := fmt.Sprintf(`block=$(for ((i = 0; i < %d; i++)); do echo '%s'; done; echo "token=$TOKEN")
yes "$block" | head -c %d
`, secretEvery, logLine, logBytes)
	var w strings.Builder
	w.WriteString(workflowHead + "  job:\n    runs-on: ubuntu-latest\n    steps:\n      - env:\n          TOKEN: ${{ secrets.TOKEN }}\n        run: |\n")
	for line := range strings.Lines(script) {
		w.WriteString("          " + line)
	}
	return workload{name: "log", workflow: w.String(), floor: "TOKEN=plain " + stepShell + "step.sh\n", files: map[string]string{"step.sh": script}, secrets: benchSecrets}
}

// longWorkflow is a workflow of at least lines lines, with what files of that size have in them.
func longWorkflow(lines int) string {
	var w strings.Builder
	w.WriteString(`name: Build, test and ship
on:
  push:
    branches: [main, "release/**", "!release/old-*"]
    paths-ignore: ["docs/**", "**.md"]
  pull_request:
    types: [opened, synchronize]
concurrency:
  group: ${{ github.workflow }}-${{ github.ref }}
  cancel-in-progress: true
permissions:
  contents: read
env:
  LEVEL: ${{ github.ref == 'refs/heads/main' && 'release' || 'debug' }}
jobs:
`)
	previous := ""
	for i := 0; strings.Count(w.String(), "\n") < lines; i++ {
		name := fmt.Sprintf("service-%d", i)
		fmt.Fprintf(&w, "  %s:\n    name: Service %d on ${{ matrix.os }}\n", name, i)
		if previous != "" {
			fmt.Fprintf(&w, "    needs: [%s]\n    if: ${{ needs.%s.result == 'success' && !startsWith(github.ref, 'refs/tags/') }}\n", previous, previous)
		}
		w.WriteString(`    runs-on: ${{ matrix.os }}
    timeout-minutes: 20
    strategy:
      fail-fast: false
      matrix:
        os: [ubuntu-latest, ubuntu-24.04]
        go: ["1.25", "1.26"]
        exclude:
          - os: ubuntu-24.04
            go: "1.25"
    outputs:
      version: ${{ steps.version.outputs.version }}
    steps:
      - id: version
        run: echo "version=$(date +%s)" >> "$GITHUB_OUTPUT"
      - name: Build ${{ matrix.go }}
        env:
          TARGET: ${{ format('{0}-{1}', matrix.os, env.LEVEL) }}
          KEY: ${{ runner.os }}-${{ hashFiles('**/go.sum') }}
        run: |
          echo "building for $TARGET"
          make build TARGET="$TARGET"
      - name: Publish
        if: github.event_name == 'push' && contains(fromJSON('["main", "next"]'), github.ref_name)
        working-directory: ./deploy
        run: ./publish.sh ${{ steps.version.outputs.version }}
      - name: Tell
        if: ${{ failure() || cancelled() }}
        run: echo "${{ toJSON(steps) }}"
`)
		previous = name
	}
	return w.String()
}
