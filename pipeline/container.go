package pipeline

import (
	"fmt"
	"strings"
)

// ContainerSpec is a container as a file asks for it.
type ContainerSpec struct {
	Image string
	Env   []EnvVar
	// Ports as docker takes them: "80", "8080:80", "6379/tcp".
	Ports []string
	// Volumes as docker takes them: "name:/path", "/host:/path:ro", "/path".
	Volumes []string
	// Options is a command line of docker create options.
	Options            string
	Username, Password string
	// Entrypoint and Command replace the image's, as command lines.
	Entrypoint, Command string
}

// DecodeContainer reads what a Container value evaluates to: a text (the image) or a mapping with the members image, env,
// ports, volumes, options, credentials (username, password), entrypoint and command. It returns nil where the image is empty.
func DecodeContainer(d Data) (*ContainerSpec, error) {
	switch d := d.(type) {
	case nil:
		return nil, nil
	case string:
		if strings.TrimSpace(d) == "" {
			return nil, nil
		}
		return &ContainerSpec{Image: strings.TrimPrefix(strings.TrimSpace(d), "docker://")}, nil
	case Object:
		c := &ContainerSpec{}
		text := func(o Object, key string) string { v, _ := o.Get(key); return Text(v) }
		c.Image = strings.TrimPrefix(strings.TrimSpace(text(d, "image")), "docker://")
		if c.Image == "" {
			return nil, nil
		}
		c.Options, c.Entrypoint, c.Command = text(d, "options"), text(d, "entrypoint"), text(d, "command")
		for _, l := range []struct {
			key string
			to  *[]string
		}{{"ports", &c.Ports}, {"volumes", &c.Volumes}} {
			v, _ := d.Get(l.key)
			switch v := v.(type) {
			case nil:
			case []any:
				for _, e := range v {
					*l.to = append(*l.to, Text(e))
				}
			default:
				return nil, fmt.Errorf("%s of container %q: expected a list", l.key, c.Image)
			}
		}
		if v, ok := d.Get("env"); ok && v != nil {
			env, ok := v.(Object)
			if !ok {
				return nil, fmt.Errorf("env of container %q: expected a mapping", c.Image)
			}
			for _, k := range env.Keys() {
				c.Env = append(c.Env, EnvVar{k, text(env, k)})
			}
		}
		if v, ok := d.Get("credentials"); ok && v != nil {
			cr, ok := v.(Object)
			if !ok {
				return nil, fmt.Errorf("credentials of container %q: expected a mapping", c.Image)
			}
			c.Username, c.Password = text(cr, "username"), text(cr, "password")
		}
		return c, nil
	}
	return nil, fmt.Errorf("expected the name of an image or a mapping, got %q", Text(d))
}
