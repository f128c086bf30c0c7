package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// childEnv makes the test binary a process that posts to this file until it is killed, and names what is posted.
const childEnv = "LEDGER_TEST_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if err := child(path, os.Getenv(childEnv+"_NAME")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func child(path, name string) error {
	s, err := Open(context.Background(), path, Options{Now: time.Now})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		id := name + strconv.Itoa(i)
		if _, _, err := s.Post(context.Background(), id, request(id), 0); err != nil {
			return err
		}
		if _, err := fmt.Println(id); err != nil {
			return nil // the parent is gone
		}
		if i%3 == 0 {
			if _, _, err := s.Reverse(context.Background(), id); err != nil {
				return err
			}
		}
	}
}

// TestKill kills one of two processes that post to the same file, again and again: nothing that was answered for is lost,
// nothing is there twice, the other one goes on, and the books add up.
func TestKill(t *testing.T) {
	path := file(t)
	var answered []string
	start := func(name string) (*exec.Cmd, *bufio.Scanner) {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path, childEnv+"_NAME="+name)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd, bufio.NewScanner(out)
	}
	read := func(lines *bufio.Scanner, n int) {
		t.Helper()
		for range n {
			if !lines.Scan() {
				t.Fatalf("the process has ended: %v", lines.Err())
			}
			answered = append(answered, lines.Text())
		}
	}
	steady, steadyLines := start("STEADY")
	for round := range 4 {
		cmd, lines := start(fmt.Sprintf("R%dX", round))
		read(lines, 10+7*round)
		read(steadyLines, 5)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said before it was killed
			answered = append(answered, lines.Text())
		}
		_ = cmd.Wait()
	}
	read(steadyLines, 5)
	if err := steady.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = steady.Wait()

	s := openStore(t, path)
	for _, id := range answered {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Errorf("%s was answered for: %v", id, err)
		}
	}
	if r := mustAddUp(t, s); r.Trades < int64(len(answered)) {
		t.Errorf("%d trades of %d that were answered for", r.Trades, len(answered))
	}
}
