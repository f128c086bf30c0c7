package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gantry-ops/gantry/api/client"
)

const loginLong = `Login signs you in to a server, so that the other commands can speak to it.

You are asked for your name and password, and a token is made for this machine; the password is not kept. Where people sign in by their
company's account, make a token in the server's UI, under Settings, and give it by --token-file or on standard input. The one-time link
that a new server prints makes its first account.

The token is kept in a file that only you can read. GANTRY_SERVER and GANTRY_TOKEN, where they are set, go before it.`

// tokenDays is how long a token lives that a sign-in makes.
const tokenDays = 90

func (r *remote) loginCommand() *cobra.Command {
	var name, tokenFile string
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "Sign in to a server",
		Long:  loginLong,
		Example: "  gantry login https://ci.example.com\n  gantry login https://ci.example.com --token-file ci.token\n" +
			"  gantry login 'http://127.0.0.1:7070/welcome#token=gantryl_…'   # a new server's first account",
		Args: args("the server's URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.login(cmd, args[0], name, tokenFile)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "your `NAME`; the password is then read from standard input where that is no terminal")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "`FILE` with an API token; - is standard input")
	return cmd
}

func (r *remote) login(cmd *cobra.Command, link, name, tokenFile string) error {
	link, once, _ := strings.Cut(link, "/welcome#token=")
	server, err := address(link)
	if err != nil {
		return err
	}
	o := client.Options{URL: server, Agent: r.o.Agent}
	ctx := cmd.Context()
	var in login
	switch {
	case tokenFile != "":
		if in.Token, err = readToken(cmd.InOrStdin(), tokenFile); err != nil {
			return err
		}
	case name == "" && once == "" && os.Getenv("GANTRY_TOKEN") != "":
		if in.Token, err = readToken(strings.NewReader(os.Getenv("GANTRY_TOKEN")), "-"); err != nil {
			return err
		}
	default:
		ask := &asker{in: bufio.NewReader(cmd.InOrStdin()), out: cmd.ErrOrStderr(), terminal: r.o.IsTerminal(os.Stdin)}
		if name, err = ask.name(name); err != nil {
			return err
		}
		password, err := ask.password("Password")
		if err != nil {
			return err
		}
		if once != "" {
			if ask.terminal {
				again, err := ask.password("Password again")
				if err != nil {
					return err
				}
				if again != password {
					return errors.New("the two passwords are not the same; nothing was made")
				}
			}
			if err := client.FirstAccount(ctx, o, once, name, password); err != nil {
				return err
			}
		}
		if in, err = r.signIn(ctx, o, name, password); err != nil {
			return err
		}
	}
	o.Token = in.Token
	c, err := client.New(o)
	if err != nil {
		return err
	}
	me, err := c.Me(ctx)
	if err != nil {
		return explain(c, err)
	}
	in.Account = me.Identity.Account
	l, err := readLogins()
	if err != nil {
		return err
	}
	l.Current = server
	l.Servers[server] = in
	if err := l.write(); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "signed in to %s as %s (gantry %s)\n", server, in.Account, me.Server.Version)
	return nil
}

func (r *remote) signIn(ctx context.Context, o client.Options, name, password string) (login, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	token, info, err := client.SignIn(ctx, o, name, password, "command line on "+host, tokenDays)
	if err != nil {
		return login{}, err
	}
	return login{Token: token, Made: true, Expires: info.ExpiresAt}, nil
}

func readToken(stdin io.Reader, file string) (string, error) {
	var b []byte
	var err error
	if file == "-" {
		b, err = io.ReadAll(io.LimitReader(stdin, 64<<10))
	} else {
		b, err = os.ReadFile(file)
	}
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if !strings.HasPrefix(token, "gantry_") || strings.ContainsAny(token, " \n") {
		return "", errors.New("that is no API token; it would begin with gantry_. Make one in the server's UI, under Settings")
	}
	return token, nil
}

// asker asks a person at a terminal; elsewhere it reads lines.
type asker struct {
	in       *bufio.Reader
	out      io.Writer
	terminal bool
}

func (a *asker) line() (string, error) {
	s, err := a.in.ReadString('\n')
	if err != nil && s == "" {
		return "", errors.New("nothing was typed")
	}
	return strings.TrimRight(s, "\r\n"), nil
}

func (a *asker) name(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if !a.terminal {
		return "", usagef("standard input is no terminal: give --name, with the password on standard input, or --token-file")
	}
	fmt.Fprint(a.out, "Name: ")
	return a.line()
}

func (a *asker) password(what string) (string, error) {
	if !a.terminal {
		return a.line()
	}
	fmt.Fprint(a.out, what+": ")
	b, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(a.out)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(b), nil
}

func (r *remote) logoutCommand() *cobra.Command {
	t := &target{r: r}
	cmd := &cobra.Command{
		Use:     "logout [URL]",
		Short:   "Sign out of a server, and revoke the token of this machine",
		Example: "  gantry logout\n  gantry logout https://ci.example.com",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := readLogins()
			if err != nil {
				return err
			}
			server, err := address(first(append(args, t.server, os.Getenv("GANTRY_SERVER"), l.Current)...))
			if err != nil {
				return err
			}
			in, ok := l.Servers[server]
			if !ok {
				return fmt.Errorf("you are not signed in to %s", first(server, "a server"))
			}
			var revoked error
			if in.Made {
				c, err := client.New(client.Options{URL: server, Token: in.Token, Agent: r.o.Agent})
				if err != nil {
					return err
				}
				revoked = c.SignOut(cmd.Context())
			}
			delete(l.Servers, server)
			if l.Current == server {
				l.Current = first(append(l.urls(), "")...)
			}
			if err := l.write(); err != nil {
				return err
			}
			if revoked != nil {
				return fmt.Errorf("signed out here, but the token was not revoked at %s, where it lives until %s: %w", server, in.Expires.Format("2006-01-02"), revoked)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "signed out of %s\n", server)
			return nil
		},
	}
	cmd.Flags().StringVar(&t.server, "server", "", "the server's `URL`")
	return cmd
}
