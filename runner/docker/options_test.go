package docker

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/go-units"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
)

func TestParseOptions(t *testing.T) {
	yes, n10, n60, pids := true, int64(10), 60, int64(99)
	for _, tt := range []struct {
		line string
		want func(*createSpec)
	}{
		{"", func(*createSpec) {}},
		{"--cpus 1.5 --memory=512m --memory-swap -1 --memory-reservation 1g --memory-swappiness 10 -c 5", func(c *createSpec) {
			c.host.NanoCPUs, c.host.Memory, c.host.MemorySwap, c.host.MemoryReservation, c.host.MemorySwappiness, c.host.CPUShares = 1_500_000_000, 512<<20, -1, 1<<30, &n10, 5
		}},
		{"--cpuset-cpus 0-2 --cpuset-mems 0 --cpu-period 1 --cpu-quota 2 --cpu-rt-period 3 --cpu-rt-runtime 4 --pids-limit 99 --shm-size 2g", func(c *createSpec) {
			c.host.CpusetCpus, c.host.CpusetMems, c.host.CPUPeriod, c.host.CPUQuota, c.host.CPURealtimePeriod, c.host.CPURealtimeRuntime, c.host.PidsLimit, c.host.ShmSize = "0-2", "0", 1, 2, 3, 4, &pids, 2<<30
		}},
		{`--health-cmd "pg_isready -U 'a b'" --health-interval 10s --health-timeout 5s --health-retries 5 --health-start-period 1m`, func(c *createSpec) {
			c.config.Healthcheck = &container.HealthConfig{Test: []string{"CMD-SHELL", "pg_isready -U 'a b'"}, Interval: 10 * time.Second, Timeout: 5 * time.Second, StartPeriod: time.Minute, Retries: 5}
		}},
		{"--no-healthcheck", func(c *createSpec) { c.config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}} }},
		{"-e A=1 --env=B= -u 1000:1000 -w /x -h box --domainname d --name n --platform linux/arm64 -l a=b --label c -t -i --init --rm --stop-signal SIGINT --stop-timeout 60", func(c *createSpec) {
			c.config = container.Config{Env: []string{"A=1", "B="}, User: "1000:1000", WorkingDir: "/x", Hostname: "box", Domainname: "d", Labels: map[string]string{"a": "b", "c": ""}, Tty: true, OpenStdin: true, StopSignal: "SIGINT", StopTimeout: &n60}
			c.name, c.platform, c.host.Init = "n", "linux/arm64", &yes
		}},
		{"--privileged --cap-add SYS_ADMIN --cap-drop=ALL --security-opt no-new-privileges --security-opt seccomp=unconfined --sysctl net.core.somaxconn=1024 --read-only --ipc host --pid host --uts host --userns host --cgroupns private", func(c *createSpec) {
			h := &c.host
			h.Privileged, h.CapAdd, h.CapDrop, h.SecurityOpt = true, []string{"SYS_ADMIN"}, []string{"ALL"}, []string{"no-new-privileges", "seccomp=unconfined"}
			h.Sysctls, h.ReadonlyRootfs, h.IpcMode, h.PidMode, h.UTSMode, h.UsernsMode, h.CgroupnsMode = map[string]string{"net.core.somaxconn": "1024"}, true, "host", "host", "host", "host", "private"
		}},
		{"--privileged=false --restart on-failure:3 --oom-kill-disable", func(c *createSpec) {
			c.host.RestartPolicy = container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}
			c.host.OomKillDisable = &yes
		}},
		{"--network-alias a --add-host x:1.2.3.4 --add-host y=host-gateway --dns 8.8.8.8 --dns-opt o --dns-search s -p 8080:80 --expose 90-91/udp", func(c *createSpec) {
			c.endpoint.Aliases = []string{"a"}
			c.host.ExtraHosts, c.host.DNS, c.host.DNSOptions, c.host.DNSSearch = []string{"x:1.2.3.4", "y:host-gateway"}, []netip.Addr{netip.MustParseAddr("8.8.8.8")}, []string{"o"}, []string{"s"}
			p80 := network.MustParsePort("80/tcp")
			c.host.PortBindings = network.PortMap{p80: {{HostPort: "8080"}}}
			c.config.ExposedPorts = network.PortSet{p80: {}, network.MustParsePort("90/udp"): {}, network.MustParsePort("91/udp"): {}}
		}},
		{"-v cache:/c -v /h:/d:ro -v /anonymous --tmpfs /t:size=1m --mount type=bind,src=/a,dst=/b,readonly --mount type=tmpfs,target=/m,tmpfs-size=1k,tmpfs-mode=1770", func(c *createSpec) {
			c.host.Binds, c.config.Volumes, c.host.Tmpfs = []string{"cache:/c", "/h:/d:ro"}, map[string]struct{}{"/anonymous": {}}, map[string]string{"/t": "size=1m"}
			c.host.Mounts = []mount.Mount{{Type: "bind", Source: "/a", Target: "/b", ReadOnly: true}, {Type: "tmpfs", Target: "/m", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 1024, Mode: 0o1770}}}
		}},
		{"--ulimit nofile=1024:2048 --blkio-weight 100 --device-read-bps /dev/sda:1m --device /dev/fuse --device /dev/a:/dev/b:r --gpus all", func(c *createSpec) {
			c.host.Ulimits = []*units.Ulimit{{Name: "nofile", Soft: 1024, Hard: 2048}}
			c.host.BlkioWeight, c.host.BlkioDeviceReadBps = 100, []*blkiodev.ThrottleDevice{{Path: "/dev/sda", Rate: 1 << 20}}
			c.host.Devices = []container.DeviceMapping{{PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", CgroupPermissions: "rwm"}, {PathOnHost: "/dev/a", PathInContainer: "/dev/b", CgroupPermissions: "r"}}
			c.host.DeviceRequests = []container.DeviceRequest{{Count: -1, Capabilities: [][]string{{"gpu"}}}}
		}},
	} {
		t.Run(tt.line, func(t *testing.T) {
			var got, want createSpec
			tt.want(&want)
			if err := parseOptions(forJob, tt.line, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asJSON(t, want), asJSON(t, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
	var c createSpec
	if err := parseOptions(forService, "--entrypoint /run", &c); err != nil || len(c.config.Entrypoint) != 1 || c.config.Entrypoint[0] != "/run" {
		t.Errorf("entrypoint of a service: %v, %v", c.config.Entrypoint, err)
	}
	profile := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(profile, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := parseOptions(forJob, "--security-opt seccomp="+profile, &c); err != nil || c.host.SecurityOpt[0] != "seccomp={}" {
		t.Errorf("profile: %v, %v", c.host.SecurityOpt, err)
	}
}

func asJSON(t *testing.T, c createSpec) string {
	t.Helper()
	b, err := json.MarshalIndent([]any{c.config, c.host, c.endpoint, c.name, c.platform}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParseOptionsRefused(t *testing.T) {
	for line, want := range map[string]string{
		"--network host":                      "--network is not supported: the job has a network of its own",
		"--net=host":                          "--net is not supported",
		"--entrypoint sh":                     "--entrypoint is not supported",
		"--env-file x":                        "--env-file is not supported: set env: instead",
		"--frobnicate":                        "unknown flag: --frobnicate",
		"image":                               `unexpected argument "image"`,
		`--label "a`:                          "EOF",
		"--memory much":                       "--memory",
		"--cpus many":                         `"many" is not a number of processors`,
		"--cpus 1/3":                          "not a number of processors",
		"--restart sometimes":                 `"sometimes"`,
		"--restart always:3":                  "only on-failure takes a count",
		"--health-interval soon":              "--health-interval",
		"--health-interval -1s":               "negative",
		"--no-healthcheck --health-retries 1": "contradicts",
		"--blkio-weight 5":                    "10 to 1000",
		"-v a/b:/c":                           "neither an absolute path nor the name of a volume",
		"-v a:b":                              "not of the form",
		"--mount type=npipe,target=/x":        "none of bind, volume, tmpfs",
		"--mount type=bind,src=a,target=/x":   "source of a bind is not an absolute path",
		"--mount type=volume":                 "target is not an absolute path",
		"--mount type=bind,x=y,target=/x":     `key "x" is not supported`,
		"--device ''":                         "not of the form",
		"--device /dev/a:/dev/b:x":            "not made of r, w and m",
		"--add-host x":                        "not of the form name:address",
		"--dns nowhere":                       "--dns",
		"--publish http":                      `port "http"`,
		"--pull often":                        "none of missing, always, never",
		"--cgroupns odd":                      "neither private nor host",
		"--env =x":                            "has no name",
		"--memory":                            "--memory",
		"--security-opt seccomp=/none":        "seccomp profile",
	} {
		t.Run(line, func(t *testing.T) {
			err := parseOptions(forJob, line, &createSpec{})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
	err := parseOptions(forJob, "--network a --link b", &createSpec{})
	if err == nil || !strings.Contains(err.Error(), "--network") || !strings.Contains(err.Error(), "--link") {
		t.Errorf("not all faults are told: %v", err)
	}
}

func FuzzParseOptions(f *testing.F) {
	for _, s := range []string{"--cpus 1 --memory 5m", `--health-cmd "a b" --health-retries 3`, "-p 80:80/udp -v a:/b", "--mount type=bind,src=/a,dst=/b", "--gpus device=1", "--ulimit nofile=1:2", "--network x", "'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var c createSpec
		if err := parseOptions(forJob, line, &c); err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without words")
			}
			return
		}
		if c.host.NetworkMode != "" || len(c.config.Entrypoint) > 0 {
			t.Errorf("%q got past what is refused", line)
		}
	})
}
