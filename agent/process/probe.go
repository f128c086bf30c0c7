package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
)

// prober asks a port whether it is well: an empty reason says that it is. refused: nothing listens there.
type prober interface {
	probe(ctx context.Context, c Check, port int) (reason string, refused bool)
}

// network probes by HTTP and TCP.
type network struct{ masker Masker }

const (
	maxProbeBody   = 64 << 10 // bytes of a body that are waited for
	maxProbeHeader = 64 << 10
	maxProbeText   = 200 // bytes of an answer that are told
)

func (n *network) probe(ctx context.Context, c Check, port int) (reason string, refused bool) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if c.Kind == CheckTCP {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return failed(ctx, c, address, err)
		}
		conn.Close()
		return "", false
	}
	return n.http(ctx, c, address)
}

func (n *network) http(ctx context.Context, c Check, address string) (reason string, refused bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+c.Path, nil)
	if err != nil {
		return err.Error(), false
	}
	if c.Host != "" {
		request.Host = c.Host
	}
	request.Header.Set("User-Agent", "gantry-check")
	// A connection each: one that is kept would tell of the past.
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxProbeHeader}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return failed(ctx, c, address, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxProbeBody))
	where := "GET " + c.Path
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Sprintf("%s: status %d, but the answer was not complete within %v", where, response.StatusCode, c.Timeout), false
	case err != nil:
		return fmt.Sprintf("%s: status %d, but the answer broke off: %v", where, response.StatusCode, err), false
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return fmt.Sprintf("%s: status %d, a redirect to %.200q, which a check does not follow", where, response.StatusCode, response.Header.Get("Location")), false
	case response.StatusCode < 200 || response.StatusCode > 299:
		if n.masker != nil {
			body = n.masker.Mask(body)
		}
		return fmt.Sprintf("%s: status %d%s", where, response.StatusCode, firstLine(body)), false
	}
	return "", false
}

// failed puts an error of the network into words.
func failed(ctx context.Context, c Check, address string, err error) (reason string, refused bool) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens on " + address, true
	case ctx.Err() != nil:
		return fmt.Sprintf("%s gave no answer within %v", address, c.Timeout), false
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return address + " closed the connection without an answer", false
	}
	return fmt.Sprintf("%s: %v", address, err), false
}

// firstLine returns the beginning of a text as a part of a sentence: ": text", or nothing.
func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte{'\n'})
	s := strings.ToValidUTF8(string(line[:min(len(line), maxProbeText)]), "�")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return ""
	}
	return ": " + s
}

// inside returns the launch of a command as a part of what runs.
func (i *Instance) inside(argv []string) (launch, error) {
	i.mu.Lock()
	ports, nonce := i.status.Ports, i.run.Nonce
	i.mu.Unlock()
	l := launch{store: i.s.store, id: i.spec.ID, nonce: nonce, home: i.home}
	// What is not known any longer must not make a healthy one unhealthy.
	i.mu.Lock()
	secrets := i.secret
	i.mu.Unlock()
	spec := i.spec
	spec.Argv = argv
	return spec.prepare(l, ports, secrets)
}

var _ prober = (*network)(nil)
