// Command orders is the workload of soak's releases: it answers each request with its version and the number that it was asked with, so that every answer
// can be checked. How it behaves is in the file "behaviour" beside it, which is a part of the candidate.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// behaviour is what a version does.
type behaviour struct {
	Version int `json:"version"`
	// Fail is the share of requests that are answered with 500, 0 to 1.
	Fail float64 `json:"fail"`
	// Millis is the mean of the time that an answer takes, which is exponentially distributed; 0 answers at once.
	Millis float64 `json:"millis"`
	// Bad is a way not to be as one should: "never-ready", "exits", "other-port", "deaf" (to TERM), "forks" (children that leave its session and are deaf
	// as well), "lies" (it is ready, and fails each request), "many-series" or "garbage" (as metrics).
	Bad string `json:"bad"`
}

// manySeries is how many series a version has that writes too many.
const manySeries = 100_000

func main() {
	log.SetFlags(0)
	if os.Getenv(childEnv) != "" {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, os.Interrupt)
		time.Sleep(time.Hour)
		return
	}
	if err := run(); err != nil {
		log.Fatalf("error: %v", err)
	}
}

func run() error {
	b, err := os.ReadFile(filepath.Join(os.Getenv("GANTRY_BUNDLE"), "behaviour"))
	if err != nil {
		return err
	}
	var is behaviour
	if err := json.Unmarshal(b, &is); err != nil {
		return err
	}
	if is.Bad == "exits" {
		return errors.New("the ledger is closed")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if is.Bad == "never-ready" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		switch is.Bad {
		case "many-series":
			for i := range manySeries {
				fmt.Fprintf(w, "orders_by_id{id=\"%d\"} 1\n", i)
			}
		case "garbage":
			fmt.Fprintln(w, "<html>}{ 1e")
		default:
			fmt.Fprintln(w, "orders_queued 0")
		}
	})
	mux.HandleFunc("/orders/{number}", func(w http.ResponseWriter, r *http.Request) {
		if is.Millis > 0 {
			time.Sleep(time.Duration(rand.ExpFloat64() * is.Millis * float64(time.Millisecond)))
		}
		if is.Bad == "lies" || rand.Float64() < is.Fail {
			http.Error(w, fmt.Sprintf("%d fails", is.Version), http.StatusInternalServerError)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%d %s %s", is.Version, r.PathValue("number"), body)
	})
	port := os.Getenv("PORT")
	if is.Bad == "other-port" {
		port = "0"
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	if is.Bad == "forks" {
		for range 3 {
			if err := fork(); err != nil {
				return err
			}
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s := &http.Server{Handler: mux}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	log.Printf("version %d", is.Version)
	if is.Bad == "deaf" {
		stop()
		signal.Ignore(syscall.SIGTERM)
		return <-ended
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.Shutdown(patience)
}

// childEnv makes the program a child that does nothing, and does not end when it is asked to.
const childEnv = "ORDERS_CHILD"

// fork starts a child in a session of its own.
func fork() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), childEnv+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	return c.Process.Release()
}
