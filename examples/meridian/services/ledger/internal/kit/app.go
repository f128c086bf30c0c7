package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// VersionHeader names the version of the process that answered, in every answer.
const VersionHeader = "X-Meridian-Version"

// App is a process of a service: its logger, metrics, faults and readiness. Make one with New.
type App struct {
	Name, Version string
	Log           *slog.Logger
	Metrics       *Registry
	Faults        *Faults

	ready    atomic.Bool
	requests *Counter
	took     *Histogram
}

// New returns a process that is not ready yet. getenv is asked for FAULT (see ParseFaults) and LOG_LEVEL (debug, info,
// warn or error; at debug each request is a line); a value that cannot be read is an error. Logs go to logs as JSON lines.
func New(name, version string, getenv func(string) string, logs io.Writer) (*App, error) {
	faults, err := ParseFaults(getenv("FAULT"))
	if err != nil {
		return nil, fmt.Errorf("the variable FAULT: %w", err)
	}
	level := slog.LevelInfo
	if text := getenv("LOG_LEVEL"); text != "" {
		if err := level.UnmarshalText([]byte(text)); err != nil {
			return nil, fmt.Errorf("the variable LOG_LEVEL: %q is none of debug, info, warn and error", text)
		}
	}
	a := &App{
		Name: name, Version: version, Faults: faults, Metrics: &Registry{},
		Log: slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: level})).With("service", name, "version", version),
	}
	a.Metrics.Info("meridian_build_info", "The version of this process.", "version", version)
	a.Metrics.process(time.Now())
	a.requests = a.Metrics.Counter("meridian_http_requests_total", "HTTP requests by route and status code.", "route", "code")
	a.took = a.Metrics.Histogram("meridian_http_request_duration_seconds", "Time to answer a request, in seconds.",
		[]float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}, "route")
	a.Metrics.Gauge("meridian_ready", "1 while requests are welcome.", func() (float64, bool) {
		if a.ready.Load() {
			return 1, true
		}
		return 0, true
	})
	return a, nil
}

// Address returns where to listen: flag where it is set, else the port of this variable on 127.0.0.1, or on HOST where
// that is set, else fallback.
func Address(flag string, getenv func(string) string, variable, fallback string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	port := getenv(variable)
	if port == "" {
		return fallback, nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("the variable %s: %q is no port", variable, port)
	} else {
		port = strconv.FormatUint(n, 10)
	}
	host := getenv("HOST")
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// SetReady says whether load balancers should send requests.
func (a *App) SetReady(ready bool) { a.ready.Store(ready) }

// Handler answers for health, version and metrics, and gives everything else to mux, measured and with the faults.
func (a *App) Handler(mux *http.ServeMux) http.Handler {
	own := http.NewServeMux()
	own.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	own.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.ready.Load() {
			Problem(w, http.StatusServiceUnavailable, "not ready", "the "+a.Name+" is starting or draining")
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	own.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		JSON(w, http.StatusOK, map[string]string{"service": a.Name, "version": a.Version})
	})
	own.Handle("GET /metrics", a.Metrics)
	own.Handle("/", a.faulty(mux))
	return a.observed(own, mux)
}

// observed names the version, and logs, counts and times. Requests are known by their route, never by their path, so
// that what a client sends does not become the value of a label.
func (a *App) observed(next, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		w.Header().Set(VersionHeader, a.Version)
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		route := r.Pattern // set by the muxes; the inner one comes last
		if route == "/" {
			_, route = mux.Handler(r) // a fault was faster
		}
		if route == "" {
			route = "none"
		}
		a.requests.Inc(route, strconv.Itoa(rec.status))
		took := time.Since(start)
		level := slog.LevelDebug
		if rec.status >= 500 {
			level = slog.LevelWarn
		}
		// A session that left HTTP lasts as long as its client likes: no latency of ours.
		if rec.status != http.StatusSwitchingProtocols {
			a.took.Observe(took, route)
		}
		a.Log.Log(r.Context(), level, "request", "method", r.Method, "route", route, "status", rec.status, "duration", took)
	})
}

// faulty makes requests fail and take longer.
func (a *App) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Faults.Fail() {
			Problem(w, http.StatusInternalServerError, "fault", "this request fails on purpose; nothing was done")
			return
		}
		start := time.Now()
		next.ServeHTTP(w, r)
		if rec, ok := w.(*recorder); ok && rec.status == http.StatusSwitchingProtocols {
			return
		}
		// The answer is short enough to be sent when the handler returns.
		a.Faults.Slow(r.Context(), time.Since(start))
	})
}

// recorder remembers the status of a response.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the writer below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// ProblemType is the media type of problem documents (RFC 9457).
const ProblemType = "application/problem+json"

// JSON answers with a document.
func JSON(w http.ResponseWriter, status int, v any) { Send(w, "application/json", status, v) }

// Problem answers with a problem document.
func Problem(w http.ResponseWriter, status int, title, detail string) {
	Send(w, ProblemType, status, struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{title, status, detail})
}

// Send answers with a document of this media type.
func Send(w http.ResponseWriter, kind string, status int, v any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away is not ours to report
}

// Stop is how a process ends.
type Stop struct {
	// Drain is how long it says that it is not ready and goes on answering, so that load balancers can take notice.
	Drain time.Duration
	// Deadline bounds how long what is under way may take after that.
	Deadline time.Duration
	// Sessions, where it is set, ends what outlives a request. It is called when the drain is over, next to finishing
	// the requests, and returns when the sessions are gone or its context ends.
	Sessions func(context.Context) error
}

// Serve answers at l until ctx ends, and then stops: not ready, drain, no new connections, requests and sessions
// finished. It returns nil where all of them were finished within the deadline.
func (a *App) Serve(ctx context.Context, l net.Listener, h http.Handler, stop Stop) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(a.Log.Handler(), slog.LevelWarn)}
	faults, end := context.WithCancel(ctx)
	defer end()
	a.Faults.Start(faults, a.Log, os.Exit)
	a.Log.Info("listening", "address", l.Addr().String())
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	a.SetReady(true)

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	a.SetReady(false)
	a.Log.Info("draining", "for", stop.Drain.String())
	drain := time.NewTimer(stop.Drain)
	defer drain.Stop()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-drain.C:
	}
	last, done := context.WithTimeout(context.WithoutCancel(ctx), stop.Deadline)
	defer done()
	sessions := make(chan error, 1)
	go func() {
		if stop.Sessions == nil {
			sessions <- nil
			return
		}
		sessions <- stop.Sessions(last)
	}()
	err := server.Shutdown(last)
	if err != nil {
		err = fmt.Errorf("requests were still under way after %s: %w", stop.Deadline, err)
		_ = server.Close()
	}
	if sessionErr := <-sessions; sessionErr != nil {
		err = errors.Join(err, fmt.Errorf("end the sessions: %w", sessionErr))
	}
	if err != nil {
		return err
	}
	a.Log.Info("stopped")
	return nil
}
