// Command orders is the workload of soak's releases: it answers each request with its version and the number that it was asked with, so that every answer
// can be checked. How it behaves is in the file "behaviour" beside it, which is a part of the candidate.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
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
}

func main() {
	log.SetFlags(0)
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
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	mux.HandleFunc("/orders/{number}", func(w http.ResponseWriter, r *http.Request) {
		if is.Millis > 0 {
			time.Sleep(time.Duration(rand.ExpFloat64() * is.Millis * float64(time.Millisecond)))
		}
		if rand.Float64() < is.Fail {
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
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s := &http.Server{Handler: mux}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	log.Printf("version %d", is.Version)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.Shutdown(patience)
}
