package route

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestMethods sees requests with and without bodies arrive as they were sent, and answers come back.
func TestMethods(t *testing.T) {
	r := newRouter(t, Options{})
	i := newInstance(t, "1", nil)
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, i.Endpoint)}))
	c := newClient(t)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		for _, body := range []string{"", "short"} {
			req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+"/a%2Fb//c/../d?q=%20&x", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Fatalf("%s: %v", method, err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			want := method + " /a%2Fb//c/../d?q=%20&x " + body
			if method == "HEAD" {
				if resp.ContentLength != int64(len(want)) {
					t.Errorf("HEAD: the length is %d", resp.ContentLength)
				}
				want = ""
			}
			if err != nil || resp.StatusCode != 200 || string(b) != want || resp.Header.Get("Version") != "1" {
				t.Errorf("%s with %q: %v %s %q", method, body, err, resp.Status, b)
			}
		}
	}
	if n := requests(r, "1", "2xx"); n != 14 {
		t.Errorf("%v requests were counted", n)
	}
}

// TestHeaders sees what is for one connection stay there, and what the instance is told of the caller.
func TestHeaders(t *testing.T) {
	r := newRouter(t, Options{})
	seen := make(chan *http.Request, 1)
	i := newInstance(t, "1", func(w http.ResponseWriter, req *http.Request) {
		seen <- req
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
		w.Header().Set("Content-Type", "")
		w.WriteHeader(http.StatusTeapot)
	})
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, i.Endpoint)}))
	c := newClient(t)
	ask := func() (*http.Response, *http.Request) {
		resp, _ := get(t, c, "http://"+addr+"/", func(req *http.Request) {
			req.Host = "shop.example.com:80"
			req.Header = http.Header{
				"Connection": {"X-Private, keep-alive"}, "X-Private": {"1"}, "Keep-Alive": {"5"}, "Te": {"trailers, deflate"}, "Proxy-Authorization": {"x"},
				"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"other.example.com"}, "X-Many": {"1", "2"}, "User-Agent": {""},
			}
		})
		return resp, <-seen
	}
	resp, req := ask()
	for _, name := range []string{"X-Private", "Keep-Alive", "Proxy-Authorization", "Connection", "User-Agent"} {
		if v, ok := req.Header[name]; ok {
			t.Errorf("the instance was told %s: %q", name, v)
		}
	}
	if req.Host != "shop.example.com:80" || req.Header.Get("Te") != "trailers" || fmt.Sprint(req.Header["X-Many"]) != "[1 2]" {
		t.Errorf("the instance was told %s, %v", req.Host, req.Header)
	}
	if req.Header.Get("X-Forwarded-For") != "127.0.0.1" || req.Header.Get("X-Forwarded-Proto") != "http" || req.Header.Get("X-Forwarded-Host") != "shop.example.com:80" {
		t.Errorf("of the caller the instance was told %v", req.Header)
	}
	if resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Hop") != "" || fmt.Sprint(resp.Header["Set-Cookie"]) != "[a=1 b=2]" || resp.Header.Get("Server") != "" {
		t.Errorf("the caller was told %s %v", resp.Status, resp.Header)
	}
	r.o.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if _, req = ask(); req.Header.Get("X-Forwarded-For") != "192.0.2.1, 127.0.0.1" || req.Header.Get("X-Forwarded-Proto") != "https" || req.Header.Get("X-Forwarded-Host") != "other.example.com" {
		t.Errorf("behind a proxy that is trusted the instance was told %v", req.Header)
	}
}

// TestBodies passes long bodies both ways, with a length and in chunks, and sees trailers arrive.
func TestBodies(t *testing.T) {
	r := newRouter(t, Options{})
	i := newInstance(t, "1", func(w http.ResponseWriter, req *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, req.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Sent", fmt.Sprintf("%d %x %s", n, h.Sum(nil), req.Trailer.Get("X-Check")))
		if req.URL.Path == "/chunks" {
			for range 64 {
				_, _ = w.Write(make([]byte, 3000))
				w.(http.Flusher).Flush()
			}
			w.Header().Set("X-Sum", "done")
			return
		}
		w.Header().Set("Content-Length", "200000")
		_, _ = w.Write(make([]byte, 200000))
	})
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, i.Endpoint)}))
	c := newClient(t)
	for _, size := range []int{1, 4096, 4097, 100_000, 3 << 20} {
		data := make([]byte, size)
		_, _ = rand.Read(data)
		for _, path := range []string{"/chunks", "/length"} {
			for _, chunked := range []bool{false, true} {
				var body io.Reader = bytes.NewReader(data)
				if chunked {
					body = io.MultiReader(body) // hides the length
				}
				req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+path, body)
				if err != nil {
					t.Fatal(err)
				}
				check := ""
				if chunked {
					req.Trailer = http.Header{"X-Check": {"ok"}}
					check = "ok"
				}
				resp, err := c.Do(req)
				if err != nil {
					t.Fatalf("%d bytes to %s, chunked %v: %v", size, path, chunked, err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if want := strings.TrimSpace(fmt.Sprintf("%d %x %s", size, sha256.Sum256(data), check)); err != nil || resp.Header.Get("X-Sent") != want {
					t.Errorf("%d bytes to %s, chunked %v: %v, %q instead of %q", size, path, chunked, err, resp.Header.Get("X-Sent"), want)
				}
				if path == "/chunks" && (n != 64*3000 || resp.Trailer.Get("X-Sum") != "done") || path == "/length" && n != 200000 {
					t.Errorf("%s answered %d bytes and %v", path, n, resp.Trailer)
				}
			}
		}
	}
}

// TestStream sees parts of an answer arrive before there are more.
func TestStream(t *testing.T) {
	r := newRouter(t, Options{})
	next := make(chan struct{})
	i := newInstance(t, "1", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		for n := range 5 {
			w.(http.Flusher).Flush()
			<-next
			fmt.Fprintf(w, "data: %d\n\n", n)
		}
	})
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, i.Endpoint)}))
	resp, err := newClient(t).Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for n := range 5 {
		next <- struct{}{}
		if !lines.Scan() || lines.Text() != fmt.Sprint("data: ", n) || !lines.Scan() {
			t.Fatalf("instead of part %d came %q, %v", n, lines.Text(), lines.Err())
		}
	}
	if lines.Scan() {
		t.Errorf("after the last part came %q", lines.Text())
	}
}

// TestRaw speaks HTTP by hand: what net/http's client would never send.
func TestRaw(t *testing.T) {
	r := newRouter(t, Options{})
	var calls atomic.Int32
	i := newInstance(t, "1", func(w http.ResponseWriter, req *http.Request) {
		calls.Add(1)
		if _, err := io.ReadAll(req.Body); err != nil {
			return
		}
		switch req.URL.Path {
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/same":
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(http.StatusNotModified)
		}
	})
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, i.Endpoint)}))
	for _, c := range []struct {
		name, send, status string
		calls              int32
	}{
		{"both lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", "200", 1}, // RFC 9112, 6.3: chunks count, and nothing comes after them
		{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "400", 0},
		{"a length that is none", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde", "400", 0},
		{"an encoding that is unknown", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400", 0},
		{"a name with a blank", "GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n", "400", 0},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "400", 0},
		{"garbage", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n", "400", 0},
		{"an endless head", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 2*headerLimit) + "\r\n\r\n", "431", 0},
		{"http/1.0", "GET / HTTP/1.0\r\n\r\n", "200", 1},
		{"expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "100", 1},
		{"interim", "GET /early HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200", 1},
		{"nothing", "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "204", 1},
		{"unchanged", "GET /same HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "304", 1},
		{"two at once", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := calls.Load()
			got := raw(t, addr, c.send, nil)
			if !strings.HasPrefix(got, "HTTP/1.1 "+c.status) || calls.Load()-before != c.calls {
				t.Errorf("%d requests came through, and the answer is %.300q", calls.Load()-before, got)
			}
		})
	}
}

// TestEarlyAnswer sends a body without end to an instance that refuses it at once.
func TestEarlyAnswer(t *testing.T) {
	r := newRouter(t, Options{})
	ln := listen(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			if line, err := br.ReadString('\n'); err != nil || line == "\r\n" {
				break
			}
		}
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop")
		_, _ = io.Copy(io.Discard, br)
	})
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, Endpoint{"e", ln})}))
	for _, head := range []string{"Content-Length: 100000000", "Transfer-Encoding: chunked"} {
		got := raw(t, addr, "POST / HTTP/1.1\r\nHost: a\r\n"+head+"\r\n\r\n2000\r\n"+strings.Repeat("x", 0x2000), nil)
		if !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.HasSuffix(got, "\r\n\r\nstop") || !strings.Contains(got, "\r\nConnection: close\r\n") {
			t.Errorf("%s: the answer is %q", head, got)
		}
	}
}

// listen serves raw connections until the test ends.
func listen(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}
