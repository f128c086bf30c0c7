package bitbucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gantry-ops/gantry/forge"
)

// cloud is the address of Bitbucket Cloud's API.
const cloud = "https://api.bitbucket.org/2.0"

// What Bitbucket takes, by its REST reference: a key of 40 characters, the rest is bounded by its database.
const (
	maxKey         = 40
	maxName        = 255
	maxDescription = 255
	maxComment     = 32768
	pages          = 20
	answerLimit    = 8 << 20
)

// Reporter sets statuses and writes comments on one repository. It implements forge.Reporter.
type Reporter struct {
	http  *http.Client
	token string
	// api is the address of the API, and server says that it is Data Center's.
	api    string
	server bool
	// owner is the workspace, or the key of the project.
	owner, name string
}

var _ forge.Reporter = (*Reporter)(nil)

// New returns a reporter for a repository: of Bitbucket Cloud ("workspace/repository"), or with a BaseURL of a Data Center
// ("PROJECT/repository").
func New(o forge.ReporterOptions) (*Reporter, error) {
	owner, name, err := forge.SplitRepository(o.Repository)
	if err != nil {
		return nil, err
	}
	r := &Reporter{http: o.HTTP, token: o.Token, api: cloud, owner: url.PathEscape(owner), name: url.PathEscape(name)}
	if r.http == nil {
		r.http = forge.NewHTTPClient()
	}
	if o.BaseURL != "" && strings.TrimSuffix(o.BaseURL, "/") != cloud {
		u, err := url.Parse(o.BaseURL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return nil, fmt.Errorf("speak to Bitbucket at %q: it is no http address", o.BaseURL)
		}
		r.api, r.server = strings.TrimSuffix(o.BaseURL, "/"), true
	}
	return r, nil
}

// states are Bitbucket's; Cloud has STOPPED where Data Center has CANCELLED.
var states = map[forge.State]string{
	forge.StatePending: "INPROGRESS", forge.StateRunning: "INPROGRESS", forge.StateSuccess: "SUCCESSFUL", forge.StateSkipped: "SUCCESSFUL",
	forge.StateFailure: "FAILED", forge.StateCancelled: "STOPPED", forge.StateError: "FAILED",
}

// build is a build status of either product.
type build struct {
	Key         string `json:"key"`
	State       string `json:"state"`
	Name        string `json:"name,omitempty"`
	URL         string `json:"url"`
	Description string `json:"description,omitempty"`
}

// SetStatus implements forge.Reporter. Bitbucket requires a TargetURL.
func (r *Reporter) SetStatus(ctx context.Context, s forge.Status) error {
	fail := func(err error) error { return fmt.Errorf("set the status of %s: %w", s.SHA, err) }
	b := build{Key: key(s.Context), State: states[s.State], Name: forge.Cut(s.Context, maxName), URL: s.TargetURL, Description: forge.Cut(s.Description, maxDescription)}
	if b.State == "" {
		return fail(fmt.Errorf("%q is no state", s.State))
	}
	if b.URL == "" {
		return fail(errors.New("Bitbucket wants an address to lead to; start the server with --url"))
	}
	path := "/repositories/" + r.owner + "/" + r.name + "/commit/" + url.PathEscape(s.SHA) + "/statuses/build"
	if r.server {
		if b.State == "STOPPED" {
			b.State = "CANCELLED"
		}
		path = "/rest/api/latest/projects/" + r.owner + "/repos/" + r.name + "/commits/" + url.PathEscape(s.SHA) + "/builds"
	}
	if err := r.do(ctx, http.MethodPost, path, b, nil); err != nil {
		return fail(err)
	}
	return nil
}

// key makes a key of at most 40 characters that is the same for the same context.
func key(context string) string {
	if len(context) <= maxKey {
		return context
	}
	sum := sha256.Sum256([]byte(context))
	return hex.EncodeToString(sum[:])[:maxKey]
}

// mark is what a comment is found again by: a definition of a link that nothing refers to, because Bitbucket shows HTML's comments.
func mark(marker string) string { return "[//]: # (gantry:" + marker + ")" }

// Comment implements forge.Reporter.
func (r *Reporter) Comment(ctx context.Context, number int, marker, text string) error {
	text = forge.Cut(mark(marker)+"\n\n"+text, maxComment)
	var err error
	if r.server {
		err = r.commentServer(ctx, number, marker, text)
	} else {
		err = r.commentCloud(ctx, number, marker, text)
	}
	if err != nil {
		return fmt.Errorf("comment on pull request %d: %w", number, err)
	}
	return nil
}

type content struct {
	Raw string `json:"raw"`
}

func (r *Reporter) commentCloud(ctx context.Context, number int, marker, text string) error {
	base := fmt.Sprintf("/repositories/%s/%s/pullrequests/%d/comments", r.owner, r.name, number)
	body := map[string]content{"content": {text}}
	for page := 1; page <= pages; page++ {
		var list struct {
			Next   string `json:"next"`
			Values []struct {
				ID      int64   `json:"id"`
				Deleted bool    `json:"deleted"`
				Content content `json:"content"`
			} `json:"values"`
		}
		if err := r.do(ctx, http.MethodGet, fmt.Sprintf("%s?pagelen=100&page=%d", base, page), nil, &list); err != nil {
			return err
		}
		for _, c := range list.Values {
			if c.Deleted || !strings.HasPrefix(c.Content.Raw, mark(marker)) {
				continue
			}
			if c.Content.Raw == text {
				return nil
			}
			return r.do(ctx, http.MethodPut, fmt.Sprintf("%s/%d", base, c.ID), body, nil)
		}
		if list.Next == "" {
			break
		}
	}
	return r.do(ctx, http.MethodPost, base, body, nil)
}

func (r *Reporter) commentServer(ctx context.Context, number int, marker, text string) error {
	base := fmt.Sprintf("/rest/api/latest/projects/%s/repos/%s/pull-requests/%d", r.owner, r.name, number)
	start := 0
	for range pages {
		var list struct {
			Last   bool `json:"isLastPage"`
			Next   int  `json:"nextPageStart"`
			Values []struct {
				Action  string `json:"action"`
				Comment struct {
					ID      int64  `json:"id"`
					Version int    `json:"version"`
					Text    string `json:"text"`
				} `json:"comment"`
			} `json:"values"`
		}
		if err := r.do(ctx, http.MethodGet, fmt.Sprintf("%s/activities?limit=100&start=%d", base, start), nil, &list); err != nil {
			return err
		}
		for _, a := range list.Values {
			if a.Action != "COMMENTED" || !strings.HasPrefix(a.Comment.Text, mark(marker)) {
				continue
			}
			if a.Comment.Text == text {
				return nil
			}
			return r.do(ctx, http.MethodPut, fmt.Sprintf("%s/comments/%d", base, a.Comment.ID), map[string]any{"text": text, "version": a.Comment.Version}, nil)
		}
		if list.Last || list.Next <= start {
			break
		}
		start = list.Next
	}
	return r.do(ctx, http.MethodPost, base+"/comments", map[string]string{"text": text}, nil)
}

// do makes one request. An answer other than 2xx is an error with what the server says.
func (r *Reporter) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.api+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "gantry")
	req.Header.Set("Authorization", "Bearer "+r.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return err
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("%s %s: %s: %s", method, strings.SplitN(path, "?", 2)[0], res.Status, said(answer))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: the answer is no JSON that fits: %w", method, strings.SplitN(path, "?", 2)[0], err)
	}
	return nil
}

// said finds the message in an error of either product.
func said(answer []byte) string {
	var e struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(answer, &e) == nil {
		if e.Error.Message != "" {
			return forge.Cut(e.Error.Message, 300)
		}
		if len(e.Errors) > 0 {
			return forge.Cut(e.Errors[0].Message, 300)
		}
	}
	return forge.Cut(string(answer), 300)
}
