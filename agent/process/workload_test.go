//go:build linux

package process

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// modeEnv tells the test binary to be a workload, or an agent.
const modeEnv = "GANTRY_TEST_MODE"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(modeEnv); mode {
	case "":
		os.Exit(m.Run())
	case "agent":
		beAgent()
	default:
		beWorkload(mode)
	}
}

// beWorkload does what a mode says: some words, of which all but the last return.
func beWorkload(mode string) {
	port := os.Getenv("PORT")
	for word := range strings.FieldsSeq(mode) {
		name, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "print":
			fmt.Println(value)
		case "complain":
			fmt.Fprintln(os.Stderr, value)
		case "environ":
			fmt.Printf("%s=%s\n", value, os.Getenv(value))
		case "ignore-term":
			signal.Ignore(syscall.SIGTERM)
		case "exit":
			os.Exit(n)
		case "kill":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		case "await": // a file
			for _, err := os.Stat(value); err != nil; _, err = os.Stat(value) {
				<-time.NewTimer(time.Millisecond).C
			}
		case "child":
			// In the group.
			respawn("print=child sleep", nil)
		case "daemon":
			// By a process between that ends, out of the session.
			respawn("between=daemon-sleep exit=0", nil).Wait()
		case "deaf-daemon":
			respawn("between=deaf exit=0", nil).Wait()
		case "between":
			next := map[string]string{"daemon-sleep": "sleep", "deaf": "ignore-term sleep"}[value]
			respawn(next, &syscall.SysProcAttr{Setsid: true})
		case "flood":
			line := append(bytes.Repeat([]byte("flood "), 20), '\n')
			for range n {
				os.Stdout.Write(line)
			}
		case "long":
			os.Stdout.Write(append(bytes.Repeat([]byte("x"), n), "\nafter\n"...))
		case "binary":
			os.Stdout.Write([]byte("a\x00b\xff\r\n\n\x1b[1mno end"))
		case "hog":
			var all [][]byte
			for {
				page := make([]byte, 4<<20)
				for i := 0; i < len(page); i += 4096 {
					page[i] = 1
				}
				all = append(all, page)
			}
		case "wrong-port":
			serve("127.0.0.1:0")
		case "other-address":
			serve("127.0.0.2:" + port)
		case "serve":
			serve("127.0.0.1:" + port)
		case "sleep":
			select {}
		}
	}
	os.Exit(0)
}

func respawn(mode string, sys *syscall.SysProcAttr) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, modeEnv+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, modeEnv+"="+mode)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, sys
	if err := cmd.Start(); err != nil {
		fmt.Println("respawn:", err)
		os.Exit(9)
	}
	return cmd
}

// serve answers /ok, and ends at /exit?N; what else it does is in the query of the check's path.
func serve(address string) {
	mux := http.NewServeMux()
	status := http.StatusOK
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
	mux.HandleFunc("/break", func(w http.ResponseWriter, r *http.Request) { status = http.StatusServiceUnavailable })
	mux.HandleFunc("/exit", func(w http.ResponseWriter, r *http.Request) { n, _ := strconv.Atoi(r.URL.RawQuery); os.Exit(n) })
	mux.HandleFunc("/run", func(w http.ResponseWriter, r *http.Request) {
		go beWorkload(strings.ReplaceAll(r.URL.RawQuery, "+", " "))
	})
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println("listen:", err)
		os.Exit(7)
	}
	http.Serve(l, mux)
}

// beAgent supervises a folder until it is killed: it starts, stops and removes instances as chance has it, and says what it does.
func beAgent() {
	s, err := New(context.Background(), os.Getenv("GANTRY_TEST_DIR"), Options{Backoff: quick, Cgroup: os.Getenv("GANTRY_TEST_CGROUP")})
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	if only := os.Getenv("GANTRY_TEST_ONLY"); only != "" {
		i, err := s.Start(context.Background(), workload(only, "print=before child daemon serve"))
		if err == nil {
			_, err = i.Await(context.Background(), func(s Status) bool { return s.State == Healthy })
		}
		fmt.Println("ready", err)
		select {}
	}
	fmt.Println("ready")
	random := newChance(uint64(os.Getpid()), "")
	for n := 0; ; n++ {
		id := fmt.Sprintf("i%d", random.IntN(4))
		i, err := s.Get(id)
		switch {
		case err != nil:
			_, err = s.Start(context.Background(), workload(id, "print=hello daemon serve"))
		case random.IntN(3) == 0:
			err = s.Remove(context.Background(), id)
		case random.IntN(3) == 0:
			if pid := i.Status().PID; pid != 0 {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			err = nil
		default:
			err = nil
			i.Await(context.Background(), func(s Status) bool { return s.State == Healthy || s.State == Crashed || s.State == Ended })
		}
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		fmt.Println("did", n)
	}
}
